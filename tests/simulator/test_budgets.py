"""Runs of a namespace keep its budget together; a bug put into that is noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cupola_operator import observe
from cupola_operator.cost import entries
from cupola_operator.cost import namespace as cost
from cupola_operator.cost.namespace import Spending
from cupola_operator.decide import hold, namespace

from . import properties
from .budgets import by_seed, in_time, kept
from .fast import fast
from .script import Failure

BLOCKS, HISTORIES = 4, 40
SEEDS = 400
"""Histories at most until a bug must have shown."""

Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast():
        yield


@pytest.mark.parametrize("block", range(BLOCKS))
def test_whatever_happens_every_property_holds(block: int) -> None:
    seeds = range(block * HISTORIES, (block + 1) * HISTORIES)
    assert [failure for seed in seeds if (failure := by_seed(seed))] == []


@pytest.mark.parametrize("stopping", [0, 5, hold.GRACE_SECONDS])
def test_runs_together_cost_no_more_than_the_budget_of_their_namespace(stopping: int) -> None:
    assert [failure for seed in range(10) if (failure := kept(seed, stopping=stopping))] == []


@pytest.mark.parametrize("stopping", [0, hold.GRACE_SECONDS])
def test_no_run_takes_longer_than_the_deadline_of_its_namespace(stopping: int) -> None:
    assert [failure for seed in range(4) if (failure := in_time(seed, stopping=stopping))] == []


def heard(patch: Patch, bug: Callable[[Spending], Spending]) -> None:
    """Change what a run hears of the others."""
    before = cost.of_others
    for module in (observe, cost):
        patch.setattr(module, "of_others", lambda *args, **more: bug(before(*args, **more)))


def forgets_the_others(patch: Patch) -> None:
    heard(patch, lambda _: Spending())


def forgets_what_others_will_need_to_stop(patch: Patch) -> None:
    heard(patch, lambda old: old._replace(rate=0 * old.rate))


def forgets_who_is_about_to_begin(patch: Patch) -> None:
    patch.setattr(cost, "_STARTS", ())


def forgets_what_was_deleted(patch: Patch) -> None:
    patch.setattr(entries, "spent", lambda *_: 0 * cost.Spending().spent)


def leaves_no_room_to_stop(patch: Patch) -> None:
    patch.setattr(hold, "_left_of", lambda world, shared, *_: shared.left)


def does_not_look_in_time(patch: Patch) -> None:
    patch.setattr(hold, "again", lambda world, *_: 60.0)


def fails_what_should_wait(patch: Patch) -> None:
    _spent(patch, lambda old: old._replace(fails=not old.fails))


def _spent(patch: Patch, bug: Callable[[Any], Any]) -> None:
    before = namespace.spent
    patch.setattr(namespace, "spent", lambda *args: bug(before(*args)))


def waits_for_others_for_ever(patch: Patch) -> None:
    before = namespace.crowded
    patch.setattr(namespace, "crowded", lambda *args: before(*args)._replace(again=None))


def never_lets_go(patch: Patch) -> None:
    before = hold.of

    def bug(world: Any, *args: Any) -> Any:
        ready = world.status.condition("Ready")
        if ready and ready.reason == hold.NAMESPACE:
            return hold.Hold(ready.reason, ready.message)
        return before(world, *args)

    patch.setattr(hold, "of", bug)


def forgets_the_deadline_of_the_namespace(patch: Patch) -> None:
    before = namespace.longest

    def bug(world: Any) -> Any:
        rule = world.settings.namespaces[0].model_copy(update={"deadline": None})
        return before(world.but(settings=world.settings.model_copy(update={"namespaces": [rule]})))

    patch.setattr(namespace, "longest", bug)


def punctual(seed: int) -> Failure | None:
    return kept(seed, stopping=hold.GRACE_SECONDS)


def timely(seed: int) -> Failure | None:
    return in_time(seed, stopping=5)


BUGS: list[tuple[str, Callable[[Patch], None], Callable[[int], Failure | None]]] = [
    ("what starts has room in its namespace", forgets_the_others, by_seed),
    ("what starts has room in its namespace", leaves_no_room_to_stop, by_seed),
    ("the books of a namespace agree", forgets_what_was_deleted, by_seed),
    ("the budget holds as it says", fails_what_should_wait, by_seed),
    ("nobody waits in vain", waits_for_others_for_ever, by_seed),
    ("more money and time let it go on", never_lets_go, by_seed),
    ("a namespace keeps its budget", forgets_what_others_will_need_to_stop, punctual),
    ("a namespace keeps its budget", forgets_who_is_about_to_begin, punctual),
    ("a namespace keeps its budget", does_not_look_in_time, punctual),
    (
        "no run takes longer than its namespace lets it",
        forgets_the_deadline_of_the_namespace,
        timely,
    ),
]


@pytest.mark.parametrize(("name", "bug", "plays"), BUGS, ids=[bug.__name__ for _, bug, _ in BUGS])
def test_a_bug_breaks_a_property(
    name: str,
    bug: Callable[[Patch], None],
    plays: Callable[[int], Failure | None],
    monkeypatch: Patch,
) -> None:
    properties.undisturbed("PretrainJob")
    bug(monkeypatch)
    broken: set[str] = set()
    for seed in range(SEEDS):
        failure = plays(seed)
        if failure and failure.name == name:
            return
        if failure:
            broken.add(failure.name)
    raise AssertionError(f"'{name}' holds in {SEEDS} histories; broken are {sorted(broken)}")
