from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api.common import Phase
from cupola_operator.cluster import key_of
from cupola_operator.decide.conditions import conditions
from cupola_operator.decide.verdict import Verdict


def world(kit: Any) -> Any:
    cluster = kit.Cluster()
    return kit.world(cluster, key_of(cluster.create(kit.resource("Dataset"))))


@pytest.mark.parametrize(
    ("phase", "true"),
    [
        (Phase.PENDING, {"Reconciling"}),
        (Phase.WAITING, {"Reconciling"}),
        (Phase.RUNNING, {"Reconciling"}),
        (Phase.RECOVERING, {"Reconciling"}),
        (Phase.SUCCEEDED, {"Ready", "Succeeded"}),
        (Phase.FAILED, {"Stalled", "Failed"}),
        (Phase.STALLED, {"Stalled"}),
        (Phase.SUSPENDED, {"Suspended"}),
    ],
)
def test_what_is_true_in_a_phase(kit: Any, phase: Phase, true: set[str]) -> None:
    found = conditions(world(kit), Verdict(phase, "Because", "of this"))
    assert {c.type for c in found if c.status == "True"} == true
    assert {c.type for c in found} == {
        *("Ready", "Reconciling", "Stalled", "Suspended", "Succeeded", "Failed")
    }
    assert {c.reason for c in found} == {"Because"}
    assert {c.type for c in found if c.message} == true | {"Ready"}


def test_time_moves_with_the_status_only(kit: Any) -> None:
    first = world(kit)
    before = conditions(first, Verdict(Phase.WAITING, "One", "one"))
    later = replace(
        first,
        now=first.now + kit.seconds(60),
        status=first.status.model_copy(update={"conditions": before}),
    )
    same = conditions(later, Verdict(Phase.RUNNING, "Two", "two"))
    assert {c.last_transition_time for c in same} == {"2026-01-01T00:00:00Z"}
    assert {c.reason for c in same} == {"Two"}
    done = conditions(later, Verdict(Phase.SUCCEEDED, "Completed", ""))
    changed = {c.type for c in done if c.last_transition_time == "2026-01-01T00:01:00Z"}
    assert changed == {"Ready", "Reconciling", "Succeeded"}


def test_what_is_said_anew_or_of_another_generation_is_written(kit: Any) -> None:
    first = world(kit)
    before = conditions(first, Verdict(Phase.WAITING, "One", "one"))
    known = replace(first, status=first.status.model_copy(update={"conditions": before}))
    assert conditions(known, Verdict(Phase.WAITING, "One", "one")) == before
    ready, *_ = conditions(known, Verdict(Phase.WAITING, "One", "another"))
    assert (ready.type, ready.message) == ("Ready", "another")
    changed = conditions(replace(known, generation=9), Verdict(Phase.WAITING, "One", "one"))
    assert {c.observed_generation for c in changed} == {9}


@pytest.mark.parametrize(
    ("outdated", "status", "reason"),
    [("", "False", "UpToDate"), ("data changed", "True", "UpstreamChanged")],
)
def test_outdated_is_there_for_a_finished_run(
    kit: Any, outdated: str, status: str, reason: str
) -> None:
    found = conditions(world(kit), Verdict(Phase.SUCCEEDED, "Completed", "", outdated=outdated))
    (condition,) = [c for c in found if c.type == "Outdated"]
    assert (condition.status, condition.reason, condition.message) == (status, reason, outdated)


def test_a_long_sentence_is_cut(kit: Any) -> None:
    found = conditions(world(kit), Verdict(Phase.STALLED, "Because", "x" * 5000))
    assert {len(c.message) for c in found if c.message} == {1024}
    found = conditions(world(kit), Verdict(Phase.STALLED, "Because", "x" * 1024))
    assert {c.message for c in found if c.message} == {"x" * 1024}


def test_it_is_said_of_which_generation_a_condition_speaks(kit: Any) -> None:
    found = conditions(replace(world(kit), generation=7), Verdict(Phase.WAITING, "One", "one"))
    assert {c.observed_generation for c in found} == {7}
