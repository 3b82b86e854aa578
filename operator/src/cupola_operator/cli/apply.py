"""`cupola apply`: files to a work directory, also while a `cupola run` works in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cupola_operator.cli import ask, load
from cupola_operator.cli import workdir as work
from cupola_operator.local.change import Apply


def apply(
    file: Annotated[
        list[Path],
        typer.Option("--file", "-f", help="A YAML file or a folder of them; repeatable."),
    ],
    *,
    workdir: work.Option = work.DEFAULT,
) -> None:
    """Create or change resources in a work directory, also while a cupola run works in it.

    A cupola run that is at work then ends when these have ended too. Suspend and annotations that a
    file does not name stay as they are. Exit code: 0 done, 1 not done, 2 the files are not valid. On
    a cluster:

    kubectl apply -f FILE
    """
    with work.sentences():
        work.Workdir(workdir)
        try:
            manifests = load.read(file)
        except load.InputInvalid as error:
            print(error, file=sys.stderr)
            raise typer.Exit(2) from None
        ask.ask(workdir, Apply.of([manifest.resource for manifest in manifests]))
