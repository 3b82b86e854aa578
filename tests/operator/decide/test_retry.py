from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cupola_api.common import Attempt, FailureClass
from cupola_api.control import Recovery
from cupola_operator.decide import retry

ENDED = "2026-01-01T00:00:00Z"
RECOVERY = Recovery(max_attempts=6, infrastructure=3, out_of_memory=1, unknown=2, data=0)

KINDS = {
    "F": ("Failed", "Unexpected", FailureClass.UNKNOWN),
    "M": ("Failed", "OOMKilled", FailureClass.OUT_OF_MEMORY),
    "U": ("Failed", "Wrong", FailureClass.USER),
    "B": ("Failed", "Bad", FailureClass.DATA),
    "L": ("Lost", "PodsLost", FailureClass.INFRASTRUCTURE),
    "N": ("Lost", "Unschedulable", FailureClass.INFRASTRUCTURE),
    "I": ("Lost", "ImageNotPulled", FailureClass.INFRASTRUCTURE),
    "S": ("Stopped", "Stopped", None),
    "D": ("Stopped", "Disrupted", None),
    "H": ("Stopped", "Suspended", None),
    "?": ("Failed", "Unexpected", None),
}


def attempts(*ends: str) -> list[Attempt]:
    """Kinds of `KINDS`; a digit after it is its checkpoint, a `!` before it: forgiven."""
    made = []
    for number, end in enumerate(ends, 1):
        kind = end.lstrip("!")
        outcome, reason, failure = KINDS[kind[0]]
        made.append(
            Attempt(
                number=number,
                name="a",
                outcome=outcome,
                reason=reason,
                failure=failure,
                checkpoint_step=int(kind[1:]) if kind[1:] else None,
                ended_at=ENDED,
                forgiven=end != kind,
            )
        )
    return made


@pytest.mark.parametrize(
    ("ends", "spent"),
    [
        (["F"], False),
        (["F", "F"], False),
        (["F", "F", "F"], True),
        (["?", "?", "?"], True),
        (["M"], False),
        (["M", "M"], True),
        (["M", "F", "M"], True),
        (["M", "F", "L", "F"], False),
        (["U"], True),
        (["U9"], True),
        (["B"], True),
        (["L"] * 3, False),
        (["L"] * 4, True),
        (["S", "D", "L"], False),
        (["S", "D", "L", "S"], True),
        (["L", "L", "F", "F", "M"], False),
        (["L", "L", "F", "F", "M", "L"], True),
        (["F", "F", "F5"], False),
        (["F", "F", "F1"], False),
        (["F", "F", "F0"], False),
        (["F5", "F5"], False),
        (["F5", "F5", "F5"], True),
        (["F5", "F9", "F5", "F9"], True),
        (["F5", "F9", "F5", "F12"], False),
        (["F0", "F", "F"], True),
        (["H"] * 9, False),
        (["F", "F", "H"], False),
        (["F", "F", "H", "F"], True),
        (["F", "F", "H9", "F"], False),
        (["!F", "!F", "!F"], False),
        (["!U"], False),
        (["!F", "!F", "!F", "F", "F"], False),
        (["!F", "!F", "!F", "F", "F", "F"], True),
        (["!U", "U"], True),
        (["N", "I"] * 99, False),
        (["L"] * 3 + ["N"] * 9, False),
        (["L"] * 3 + ["N"] * 9 + ["L"], True),
    ],
)
def test_each_class_has_its_own_number_of_retries(ends: list[str], spent: bool) -> None:
    assert retry.spent(attempts(*ends), RECOVERY) is spent


@pytest.mark.parametrize(
    ("ends", "seconds"),
    [
        (["F"], 10),
        (["F", "F"], 20),
        (["F", "S", "F"], 20),
        (["M"], 10),
        (["F", "M"], 10),
        (["S"], None),
        (["D", "D"], None),
        (["H"], None),
        (["N"] * 9, None),
        (["L", "N", "L"], 10),
        (["L"], None),
        (["L", "L"], 10),
        (["L", "S", "L"], 20),
        (["F", "L"], None),
        (["F5", "F"], 20),
        (["F", "F", "F5"], 10),
        (["!F", "!F"], None),
        (["F"] * 9, 300),
        (["F"] * 40, 300),
    ],
)
def test_pauses_double_within_a_class(ends: list[str], seconds: int | None) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    time = retry.not_before(attempts(*ends))
    assert (None if time is None else (time - start).total_seconds()) == seconds


def test_an_end_without_a_time_is_not_waited_for() -> None:
    (one,) = attempts("F")
    assert retry.not_before([one.model_copy(update={"ended_at": None})]) is None
