"""The command line, `cupola`: one module a command, each with a function of the same name."""

from __future__ import annotations

import typer

from cupola_operator.cli.lazy import LazyGroup

app = typer.Typer(
    name="cupola",
    cls=LazyGroup,
    help="Builds language models from scratch: Dataset, PretrainJob, FineTune, Evaluation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _cupola() -> None:
    """Builds language models from scratch: Dataset, PretrainJob, FineTune, Evaluation."""


def main() -> None:
    """The entry point of the program `cupola`."""
    app()
