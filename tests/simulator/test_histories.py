"""Twenty thousand short histories: whatever happens, in whatever order, the properties hold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .events import BAD, GOOD, Choice
from .fast import fast
from .script import KINDS, Failure, by_seed, play, shortest, story


@pytest.fixture(autouse=True, scope="module")
def _fast() -> Iterator[None]:
    with fast():
        yield


BLOCKS = 16
HISTORIES = 1250
"""A block."""

STORIES = 3
"""Failures that are told; the others are only counted."""


class TestFirstHalf:
    """A scope of its own, as the second half is: each may run on another worker."""

    @pytest.mark.parametrize("block", range(BLOCKS // 2))
    def test_whatever_happens_every_property_holds(self, block: int) -> None:
        every_property_holds(block)


class TestSecondHalf:
    @pytest.mark.parametrize("block", range(BLOCKS // 2, BLOCKS))
    def test_whatever_happens_every_property_holds(self, block: int) -> None:
        every_property_holds(block)


def every_property_holds(block: int) -> None:
    failures: dict[str, list[tuple[int, Failure]]] = {}
    for seed in range(block * HISTORIES, (block + 1) * HISTORIES):
        failure = by_seed(seed)
        if failure:
            failures.setdefault(failure.name, []).append((seed, failure))
    told = [
        f"{len(found)} histories break '{name}'; seed {found[0][0]}:\n"
        + story(shortest(found[0][1]))
        for name, found in list(failures.items())[:STORIES]
    ]
    assert not failures, f"{sorted(failures)} do not hold\n\n" + "\n\n".join(told)


@given(
    kind=st.sampled_from(sorted(set(KINDS))),
    script=st.lists(
        st.builds(
            Choice,
            st.sampled_from(sorted({**GOOD, **BAD})),
            st.integers(0, 1023),
            st.integers(0, 1023),
        ),
        max_size=16,
    ),
)
@settings(
    max_examples=300,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_no_list_of_events_breaks_a_property(kind: str, script: list[Choice]) -> None:
    play(kind, script)


@pytest.mark.parametrize("kind", sorted(set(KINDS)))
def test_an_undisturbed_run_succeeds(kind: str) -> None:
    play(kind, [])
