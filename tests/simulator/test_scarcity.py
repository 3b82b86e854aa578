"""Queues, evictions and full pools cost a run time, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from . import course, kueue, scarcity, trouble
from .events import GOOD, Choice, happen
from .fast import fast
from .properties import judge
from .simulation import Simulation
from .specs import POOLS

EVENTS = (course, scarcity, trouble)
"""What may happen here; to import them names them."""


@pytest.fixture(autouse=True, scope="module")
def _fast() -> Iterator[None]:
    with fast():
        yield


def ready(sim: Simulation) -> tuple[str, str]:
    (condition,) = (c for c in sim.status["conditions"] if c["type"] == "Ready")
    return sim.status["phase"], condition["reason"]


def evicted(kind: str, seed: int) -> Simulation:
    """A queued run that nothing befalls but Kueue, at chosen moments, to its end."""
    rng = random.Random(seed)
    sim = Simulation(kind)
    happen(sim, Choice("queue"))
    names = [name for name in GOOD if name not in ("finish", "settle")]
    for name in rng.choices([*names, *["everybody", "evict"] * 4], k=60):
        happen(sim, Choice(name, rng.getrandbits(10), rng.getrandbits(10)))
    sim.end()
    return sim


@pytest.mark.parametrize("kind", ["PretrainJob", "FineTune", "Evaluation", "Dataset"])
def test_evictions_spend_no_attempt(kind: str) -> None:
    evictions = 0
    for seed in range(40):
        sim = evicted(kind, seed)
        assert sim.status["phase"] == "Succeeded"
        stages = [attempt.get("stage") for attempt in sim.status["attempts"]]
        assert len(stages) == len(set(stages)), (seed, sim.status["attempts"])
        evictions += sum(attempt.get("evictions", 0) for attempt in sim.status["attempts"])
    # Pods of a Job come and go by themselves, so only those of a gang are counted.
    assert (evictions > 40) is (kind in ("PretrainJob", "FineTune"))


def test_what_kueue_does_not_admit_waits_and_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kueue, "admit", lambda _: False)
    sim = Simulation("PretrainJob")
    happen(sim, Choice("queue"))
    for _ in range(40):
        sim.round()
        sim.now += 100
    assert ready(sim) == ("Pending", "Queued")
    assert sim.status["cost"]["accrued"] == "0"
    assert sim.runs() == []


def crowded(sim: Simulation, *pools: str, rounds: int = 40) -> None:
    """Time passes while pools are full."""
    for pool in pools:
        happen(sim, Choice("crowd", POOLS.index(pool)))
    for _ in range(rounds):
        sim.round()
        sim.now += 10


@pytest.mark.parametrize("kind", ["PretrainJob", "Evaluation"])
def test_a_run_goes_to_its_next_pool_when_the_first_is_full(kind: str) -> None:
    sim = Simulation(kind)
    crowded(sim, "cpu")
    sim.rest()
    first, second = sim.status["attempts"]
    assert (first["pool"], first["outcome"], first["reason"]) == ("cpu", "Lost", "Unschedulable")
    assert (first["cost"], first["wasted"]) == ("0", "0")
    assert (second["pool"], second["outcome"]) == ("more", "Succeeded")
    sim.end()


def test_full_pools_are_tried_in_turns_and_spend_no_retry() -> None:
    sim = Simulation("PretrainJob")
    crowded(sim, *POOLS, rounds=600)
    tried = [attempt["pool"] for attempt in sim.status["attempts"]]
    assert len(tried) > 20
    assert tried == [POOLS[number % 2] for number in range(len(tried))]
    assert any(reason == "Unschedulable" for _, _, reason, _ in sim.events)
    assert sim.status["cost"]["accrued"] == "0"
    sim.end()
    assert sim.status["phase"] == "Succeeded"


def test_without_another_pool_it_waits_and_says_so() -> None:
    sim = Simulation("FineTune")
    crowded(sim, "cpu", rounds=60)
    assert ready(sim) == ("Stalled", "Unschedulable")
    assert len(sim.status["attempts"]) == 1
    assert sim.status["cost"]["accrued"] == "0"
    sim.end()
    assert [attempt["outcome"] for attempt in sim.status["attempts"]] == ["Succeeded"]


def test_an_attempt_after_a_fault_stays_where_it_found_room() -> None:
    sim = Simulation("PretrainJob")
    crowded(sim, "cpu")
    sim.nodes.full.clear()
    for choice in ("killed", "everybody", "everybody", "everybody", "everybody"):
        happen(sim, Choice(choice, 0, 1))
    sim.end()
    assert [attempt["pool"] for attempt in sim.status["attempts"]] == ["cpu", "more", "more"]
    judge(sim)
