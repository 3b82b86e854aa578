"""What is measured, and what comes of it: the types that every kind of task shares."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cupola_api.evaluation import Score

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

SAMPLES = 200
"""Samples that are kept of a task, of each model."""


class Subject(NamedTuple):
    """A model that is measured."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast


class Measured(NamedTuple):
    """One metric of one model."""

    metric: str
    value: float
    samples: int
    standard_error: float | None = None
    chance: float | None = None
    higher_is_better: bool = True


class Result(NamedTuple):
    """A task of one model: its metrics, and JSON objects that show what they were made from."""

    measured: list[Measured]
    samples: list[dict[str, Any]]


def rounded(value: float | None, digits: int = 6) -> float | None:
    """So many significant digits: more would be noise, and status is small."""
    return None if value is None else float(f"{value:.{digits}g}")


def scores(task: str, model: Result, compared: Result | None) -> list[Score]:
    """The scores of a task: the metrics of the model, those of the other one beside them."""
    others = {m.metric: m for m in compared.measured} if compared else {}
    found = []
    for m in model.measured:
        other = others.get(m.metric)
        found.append(
            Score(
                task=task,
                metric=m.metric,
                value=float(f"{m.value:.6g}"),
                standard_error=rounded(m.standard_error),
                chance=rounded(m.chance),
                compared_to=rounded(other.value) if other else None,
                compared_standard_error=rounded(other.standard_error) if other else None,
                higher_is_better=m.higher_is_better,
                samples=m.samples,
            )
        )
    return found


def lines(records: Sequence[dict[str, Any]]) -> bytes:
    """JSON lines in one spelling."""
    return "".join(
        json.dumps(record, sort_keys=True, ensure_ascii=False, default=str) + "\n"
        for record in records
    ).encode("utf-8", errors="backslashreplace")
