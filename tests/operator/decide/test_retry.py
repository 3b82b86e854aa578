from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cupola_api.common import Attempt
from cupola_operator.decide import retry

ENDED = "2026-01-01T00:00:00Z"


def attempts(*ends: str) -> list[Attempt]:
    """`F` failed, `L` lost, `S` stopped, `D` disrupted; a digit after it is its checkpoint."""
    kinds = {
        "F": ("Failed", "Unexpected"),
        "L": ("Lost", "PodsLost"),
        "S": ("Lost", "Stopped"),
        "D": ("Lost", "Disrupted"),
    }
    return [
        Attempt(
            number=i + 1,
            name="a",
            outcome=kinds[end[0]][0],
            reason=kinds[end[0]][1],
            checkpoint_step=int(end[1:]) if end[1:] else None,
            ended_at=ENDED,
        )
        for i, end in enumerate(ends)
    ]


@pytest.mark.parametrize(
    ("ends", "exhausted"),
    [
        (["F"], False),
        (["F", "F"], False),
        (["F", "F", "F"], True),
        (["L", "F", "L"], True),
        (["F", "F", "F5"], False),
        (["F5", "F5", "F5"], False),
        (["F5", "F5", "F5", "F5"], True),
        (["F5", "F9", "F5", "F9", "F8"], True),
        (["F0", "F", "F"], False),
        (["S"] * 9, False),
        (["S"] * 10, True),
        (["S", "D", "F", "S", "F", "D"], False),
        (["S", "F", "D", "F", "S", "F"], True),
    ],
)
def test_three_attempts_without_progress_are_enough(ends: list[str], exhausted: bool) -> None:
    assert retry.exhausted(attempts(*ends)) is exhausted


@pytest.mark.parametrize(
    ("ends", "seconds"),
    [
        (["F"], 10),
        (["F", "F"], 20),
        (["F", "S", "F"], 20),
        (["S"], None),
        (["L"], None),
        (["F", "L"], None),
        (["F5", "F"], 10),
        (["F5"], 10),
        (["F"] * 9, 300),
    ],
)
def test_pauses_double_for_failures_and_are_none_for_losses(
    ends: list[str], seconds: int | None
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    time = retry.not_before(attempts(*ends))
    assert (None if time is None else (time - start).total_seconds()) == seconds


def test_an_end_without_a_time_is_not_waited_for() -> None:
    (one,) = attempts("F")
    assert retry.not_before([one.model_copy(update={"ended_at": None})]) is None
