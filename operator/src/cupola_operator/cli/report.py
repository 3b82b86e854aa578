"""`cupola report`: one HTML page about a resource and everything that it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cupola_api.artifact import write_atomic
from cupola_operator.cli import evidence
from cupola_operator.cli import workdir as work
from cupola_operator.cluster import key_of
from cupola_operator.report import page


def report(
    name: Annotated[str, typer.Argument(metavar="[KIND/]NAME", help="The resource.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The file; reports/KIND-NAME.html in the work directory by default.",
        ),
    ] = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Leave out what the resource was made from.")
    ] = False,
    namespace: work.Namespace = "default",
    workdir: work.Option = work.DEFAULT,
) -> None:
    """Write a report: configuration, data, curves, attempts, scores, money, digests.

    It is one file without scripts that needs no network; what models wrote in it is shown as text.
    """
    with work.sentences():
        folder = work.Workdir(workdir)
        key = key_of(folder.resolve(name, namespace))
        found = evidence.gather(folder, key, alone=alone)
        place = output or folder.folder / "reports" / f"{key.kind.lower()}-{key.name}.html"
        write_atomic(place, page.render(found).encode())
        print(place)
