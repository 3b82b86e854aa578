"""`cupola get`: resources of a work directory as a table, or whole."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.text import Text

from cupola_api.columns import Column
from cupola_api.common import Phase
from cupola_api.kinds import KINDS
from cupola_operator.children import time_of
from cupola_operator.cli import evidence
from cupola_operator.cli import workdir as work
from cupola_operator.cli.describe import describe
from cupola_operator.cluster import Object, key_of
from cupola_operator.local import lock
from cupola_operator.resources import parse_status


class Output(StrEnum):
    """How resources are printed."""

    TABLE = "table"
    WIDE = "wide"
    YAML = "yaml"
    JSON = "json"


def get(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND[/NAME]",
            help="A kind (also its plural or short name), or one resource; all by default.",
        ),
    ] = None,
    namespace: work.Namespace = "default",
    output: Annotated[
        Output,
        typer.Option(
            "--output", "-o", help="yaml and json print a Kubernetes List of whole objects."
        ),
    ] = Output.TABLE,
    workdir: work.Option = work.DEFAULT,
) -> None:
    """Show resources: what they are doing, what they cost, and why.

    One resource, named KIND/NAME, is shown with its story: what happened to it and when, what that
    cost, and what can be done.
    """
    with work.sentences():
        folder = work.Workdir(workdir)
        kind, slash, _ = (what or "").partition("/")
        if slash:
            found = [folder.resolve(what or "", namespace)]
        else:
            kinds = [work.kind_of(kind)] if kind else list(KINDS)
            found = [value for one in kinds for value in folder.objects(one, namespace)]
        now = datetime.now(UTC)
        if output in (Output.YAML, Output.JSON):
            print(document(found, output))
        elif slash and output is Output.TABLE:
            _show(folder, found[0], now)
        elif found:
            print(tables(found, now, wide=output is Output.WIDE, named=not kind))
            if said := [*reasons(found), *_idle(folder, found)]:
                print("\n" + "\n".join(said))
        else:
            typer.echo(f"there are no resources in namespace {namespace} of {workdir}", err=True)


def _show(folder: work.Workdir, value: Object, now: datetime) -> None:
    """Print one resource with its story; on a terminal in colours, and as wide as that is."""
    console = Console(highlight=False)
    status = parse_status(value["kind"], value.get("status"))
    run = evidence.resolved(folder, value, status)
    for text, style in describe(
        value,
        now,
        events=folder.events(value),
        run=run,
        reached=evidence.reached(run, status),
        width=console.width if console.is_terminal else None,
    ):
        console.print(Text(text, style=style), soft_wrap=True)
    for sentence in _idle(folder, [value]):
        console.print(f"\n{sentence}", soft_wrap=True)


def _idle(folder: work.Workdir, found: Sequence[Object]) -> list[str]:
    """That nothing works on these, if nothing does and something should."""
    phases = [parse_status(v["kind"], v.get("status")).phase for v in found]
    if all(phase in _AT_REST for phase in phases) or lock.is_held(folder.folder):
        return []
    return [f"No cupola run works in {folder.folder} now; the next one goes on."]


def reasons(found: Sequence[Object]) -> list[str]:
    """Of each resource that is held or in trouble, why, in a sentence."""
    said = []
    for value in found:
        key = key_of(value)
        status = parse_status(key.kind, value.get("status"))
        ready = status.condition("Ready")
        if status.phase in _TOLD and ready:
            message = f": {ready.message}" if ready.message else ""
            said.append(f"{key} is {status.phase.lower()}{message}")
    return said


_TOLD = (Phase.SUSPENDED, Phase.RECOVERING, Phase.STALLED)
_AT_REST = (Phase.SUCCEEDED, Phase.FAILED, Phase.STALLED, Phase.SUSPENDED)


def document(found: Sequence[Object], output: Output) -> str:
    """A Kubernetes List in YAML or JSON, also of a single object, so that scripts read one shape."""
    value = {"apiVersion": "v1", "kind": "List", "items": list(found)}
    if output is Output.JSON:
        return json.dumps(value, indent=2, ensure_ascii=False)
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100).rstrip("\n")


def tables(found: Sequence[Object], now: datetime, *, wide: bool, named: bool) -> str:
    """A table for each kind with its printer columns; `named`: the kind stands before the name."""
    parts = []
    for kind, resource in KINDS.items():
        columns = [column for column in resource.columns if wide or not column.priority]
        rows = [["NAME", *(column.name.upper() for column in columns)]]
        for value in found:
            if value["kind"] == kind:
                name = str(value["metadata"]["name"])
                label = f"{kind.lower()}/{name}" if named else name
                rows.append([label, *(cell(value, column, now) for column in columns)])
        if len(rows) > 1:
            parts.append(_aligned(rows))
    return "\n\n".join(parts)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def cell(value: Object, column: Column, now: datetime) -> str:
    """What a printer column says of an object; empty where there is nothing to say."""
    found = look_up(value, column.path)
    if found is None:
        return ""
    if column.type == "date":
        then = time_of(found)
        return age((now - then).total_seconds()) if then else ""
    if column.type == "number" and isinstance(found, float):
        return f"{found:.4g}" if abs(found) < 1000 else f"{found:.0f}"
    return " ".join(str(found).split())


_STEP = re.compile(
    r"\.(?P<name>\w+)|\[(?P<index>\d+|-1:)\]|\[\?\(@\.(?P<key>\w+)=='(?P<is>[^']*)'\)\]"
)


def look_up(value: Any, path: str) -> Any:
    """What a JSONPath of a printer column finds, or None: names, `[0]`, `[-1:]`, `[?(@.type=='Ready')]`.

    Raises ValueError for a path of another form.
    """
    position = 0
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise ValueError(f"the path {path} of a printer column is not understood")
        position = step.end()
        if step["name"]:
            value = value.get(step["name"]) if isinstance(value, dict) else None
        else:
            items = value if isinstance(value, list) else []
            if step["key"]:
                items = [
                    i for i in items if isinstance(i, dict) and i.get(step["key"]) == step["is"]
                ]
            index = int((step["index"] or "0").rstrip(":"))
            value = items[index] if index < len(items) and items else None
    return value


_UNITS = {"y": 365 * 86_400, "d": 86_400, "h": 3600, "m": 60, "s": 1}


def age(seconds: float) -> str:
    """A length of time in at most two units, the second only while it matters: `90s`, `5m3s`, `3h`."""
    left = max(0, int(seconds))
    if left < 120:
        return f"{left}s"
    unit, following = next(
        (a, b) for a, b in zip(_UNITS, [*list(_UNITS)[1:], "s"], strict=True) if left >= _UNITS[a]
    )
    many, rest = divmod(left, _UNITS[unit])
    part = rest // _UNITS[following]
    return f"{many}{unit}{part}{following}" if many < 10 and part else f"{many}{unit}"
