"""`cupola plan --calibrate`: what finished trainings say of their pools, for the settings."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console, Group, RenderableType
from rich.text import Text

from cupola_operator.cli import finished
from cupola_operator.cli.plantable import grid
from cupola_operator.plan.answers.calibrating import Calibration, Compared, calibrated, compared
from cupola_operator.plan.estimate import Estimate

_WIDTH = 120


class NothingToLearn(Exception):
    """No finished training says anything; a sentence says why."""


def calibrations(
    workdir: Path, listed: Sequence[Path], pool: str | None
) -> tuple[list[Calibration], list[str]]:
    """Each pool with its fit, and of each training that says nothing why. Raises NothingToLearn."""
    found: list[Compared] = []
    notes: list[str] = []
    for one in finished.trainings(finished.objects(workdir, listed)):
        if one.status.artifact is None:
            continue
        seen = compared(f"{one.key.namespace}/{one.key.name}", one.run, one.status)
        if isinstance(seen, str):
            notes.append(f"{one.key} says nothing: {seen}")
        elif pool is None or seen.pool == pool:
            found.append(seen)
    if not found:
        where = f" on pool {pool}" if pool else ""
        why = "".join(f"; {note}" for note in notes)
        raise NothingToLearn(f"there is no finished PretrainJob{where} to learn from{why}")
    return calibrated(found), notes


def show(found: Sequence[Calibration], notes: Sequence[str], output: str) -> None:
    """Print tables and the YAML to paste; or, as `json` or `yaml`, the values alone."""
    if output == "json":
        print(json.dumps(document(found), indent=2))
    elif output == "yaml":
        print(yaml.safe_dump(settings(found), sort_keys=False), end="")
    else:
        console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
        for part in _tables(found, notes):
            console.print(part, soft_wrap=isinstance(part, Text))


def settings(found: Sequence[Calibration]) -> dict[str, Any]:
    """What to write into the settings, pool by pool."""
    return {
        "pools": [
            {
                "name": one.pool,
                "friction": {**_rounded(one.friction), "runs": len(one.runs)},
            }
            for one in found
        ]
    }


def document(found: Sequence[Calibration]) -> dict[str, Any]:
    """All of it as plain values."""
    return {
        "pools": [
            {
                "name": one.pool,
                "friction": _rounded(one.friction),
                "usual": _rounded(one.runs[-1].usual),
                "runs": [
                    {
                        "name": run.name,
                        "devices": run.devices,
                        "rooflineSeconds": float(f"{run.roofline:.6g}"),
                        "measuredSeconds": float(f"{run.measured:.6g}"),
                        "friction": float(f"{run.ratio:.4g}"),
                    }
                    for run in one.runs
                ],
                "leaveOneOut": one.check
                and {
                    "medianError": float(f"{one.check.error:.4g}"),
                    "usualMedianError": float(f"{one.check.usual_error:.4g}"),
                    "inRange": one.check.held,
                    "usualInRange": one.check.usual_held,
                },
            }
            for one in found
        ]
    }


def _tables(found: Sequence[Calibration], notes: Sequence[str]) -> Iterator[RenderableType]:
    for one in found:
        rows = [
            (run.name, f"{run.devices}", _s(run.roofline), _s(run.measured), f"{run.ratio:.2f}")
            for run in one.runs
        ]
        head = ("Run", "Devices", "Roofline, s a step", "Measured", "Friction")
        yield Group(Text(f"Pool {one.pool}", style="bold"), grid(head, rows, right=4))
        usual = one.runs[-1].usual
        yield Text(f"Friction {_range(one.friction)}; the usual one is {_range(usual)}.")
        yield Text(_checked(one))
        yield ""
    for note in notes:
        yield Text(f"Note: {note}.", style="yellow")
    yield Text("To plan with it, write into the settings (nothing was changed):", style="bold")
    yield Text(yaml.safe_dump(settings(found), sort_keys=False).rstrip())


def _checked(one: Calibration) -> str:
    check = one.check
    if check is None:
        return "One run is not much: with two the fit can be checked."
    said = (
        f"Each run predicted from the others: median error {check.error:.0%} instead of "
        f"{check.usual_error:.0%}, {check.held} of {check.runs} in the range instead of "
        f"{check.usual_held}."
    )
    return said if check.better else f"{said} That is no better than the usual friction."


def _range(estimate: Estimate) -> str:
    low, expected, high = (f"{end:.2f}" for end in estimate.ends)
    return f"{expected} ({low} to {high})"


def _s(seconds: float) -> str:
    return f"{seconds:.4g}"


def _rounded(estimate: Estimate) -> dict[str, float]:
    low, expected, high = (float(f"{end:.4g}") for end in estimate.ends)
    return {"low": low, "expected": expected, "high": high}
