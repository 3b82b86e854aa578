"""Old attempts as one entry of status: what it keeps, what it drops, that it stays small."""

from __future__ import annotations

from typing import Any

from cupola_api.common import Attempt, PodTime
from cupola_operator.cost import ledger


def attempt(number: int, **fields: Any) -> Attempt:
    return Attempt(number=number, name=f"a{number}", **fields)


def test_the_times_of_pods_are_dropped() -> None:
    pods = [PodTime(uid="u", gpus=1)]
    both = ledger.added(attempt(1, pods=pods), attempt(2, pods=pods))
    assert both.pods == []


def test_the_newest_checkpoint_of_either_is_kept() -> None:
    def step(first: int | None, second: int | None) -> int | None:
        one, two = attempt(1, checkpoint_step=first), attempt(2, checkpoint_step=second)
        return ledger.added(one, two).checkpoint_step

    assert (step(None, None), step(5, None), step(None, 0), step(5, 9)) == (None, 5, 0, 9)
    assert step(9, 5) == 9


def test_an_entry_is_estimated_if_either_attempt_was() -> None:
    def estimated(first: bool, second: bool) -> bool:
        both = ledger.added(attempt(1, estimated=first), attempt(2, estimated=second))
        return both.estimated

    assert estimated(True, False) is True
    assert estimated(False, True) is True
    assert estimated(False, False) is False


def test_the_message_of_many_attempts_stays_within_its_bound() -> None:
    entry = attempt(1, message="x" * 512)
    for number in range(2, 9):
        entry = ledger.added(entry, attempt(number, message="y" * 512))
    assert entry.message is not None
    assert len(entry.message) == 512
    assert Attempt.model_validate(entry.to_json()) == entry
    assert entry.message.startswith("attempts up to 8, added up; the last: yyy")
