"""`cupola curate`: curate Datasets on this machine, by the engine of the cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cupola_api.dataset import Dataset, DatasetStatus
from cupola_operator.cli import load
from cupola_operator.cli import run as running
from cupola_operator.cli import workdir as work
from cupola_operator.cluster import key_of
from cupola_operator.resources import parse_status

_INVALID = 2


def curate(
    file: Annotated[Path, typer.Argument(help="A YAML file, or a folder of them, of Datasets.")],
    *,
    workdir: work.Option = work.DEFAULT,
    slots: Annotated[
        int | None,
        typer.Option(help="Pods that run at a time; by default the cores, at least 2."),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="Settings of the installation instead of the built-in ones.")
    ] = None,
) -> None:
    """Curate Datasets on this machine, and say what was kept and what each rule dropped.

    The folder that it names at the end holds the documents that stay (documents/*.jsonl.zst), a few
    of those that each rule dropped (dropped/*.jsonl), the tokenizer and the tokens. It is the same
    for any number of slots. Run it again to go on after an interruption. Exit codes: as cupola run.
    """
    try:
        manifests = load.read([file])
    except load.InputInvalid as error:
        for sentence in error.sentences:
            print(sentence, file=sys.stderr)
        raise typer.Exit(_INVALID) from error
    for manifest in manifests:
        if not isinstance(manifest.resource, Dataset):
            print(
                f"{manifest.path}:{manifest.line} is of kind {manifest.resource.kind}, and cupola "
                f"curate makes Datasets only; use cupola run -f {file}",
                file=sys.stderr,
            )
            raise typer.Exit(_INVALID)
    try:
        running.run([file], workdir=workdir, slots=slots, settings=settings)
    finally:
        if (workdir / "objects").is_dir():
            with work.sentences():
                _tell(work.Workdir(workdir), {m.resource.metadata.name for m in manifests})


def _tell(opened: work.Workdir, names: set[str]) -> None:
    """What became of the documents of each Dataset that is there, and where they lie."""
    console = Console(highlight=False, soft_wrap=True)
    for value in opened.everything():
        key = key_of(value)
        if key.kind != "Dataset" or key.name not in names:
            continue
        status = parse_status(key.kind, value.get("status"))
        if not isinstance(status, DatasetStatus) or not status.summary or not status.artifact:
            continue
        summary = status.summary
        console.print(
            f"{key}: {summary.documents_read:,} documents read, {summary.documents_kept:,} kept"
        )
        for rule in sorted(summary.dropped, key=lambda rule: -rule.count):
            console.print(f"  {rule.count:>12,} dropped  {rule.name}")
        for kind in sorted(summary.redacted, key=lambda kind: -kind.count):
            console.print(f"  {kind.count:>12,} redacted {kind.name}")
        if made := status.synthetic:
            ended = "; its budget is used up" if made.budget_used_up else ""
            console.print(
                f"  {made.made:>12,} written  by {made.model}, of {made.requests:,} answers{ended}"
            )
        console.print(f"  {work.local_folder(status.artifact.uri)}")
