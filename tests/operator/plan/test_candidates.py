from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cupola_operator.plan.anatomy import families
from cupola_operator.plan.anatomy.layout import Layout, problem
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.candidates import TOLERANCE, Candidates, counts, divisors

MODEL = families.of("llama", layers=11, hidden=1024, heads=16, vocabulary=32_000, context=2048)


def layouts(world: int, batch: int, **fixed: Any) -> Iterator[Layout]:
    candidates = Candidates(MODEL, batch, fixed)
    for degrees in candidates.degrees(world):
        for split in candidates.splits(*degrees):
            yield from candidates.passes(split)


@pytest.mark.parametrize("world", [1, 6, 8, 48])
def test_every_candidate_is_possible_and_uses_all_devices(world: int) -> None:
    found = list(layouts(world, 96))
    assert found
    for layout in found:
        assert problem(MODEL, layout) is None
        assert layout.world == world
        assert abs(layout.global_batch / 96 - 1) <= TOLERANCE


def test_no_candidate_comes_twice() -> None:
    found = list(layouts(16, 64))
    assert len(found) == len(set(found))


def test_every_degree_and_stage_is_tried() -> None:
    found = list(layouts(16, 64))
    for name, values in (
        ("tensor", {1, 2, 4, 8, 16}),
        ("sequence", {1, 2, 4, 8, 16}),
        ("pipeline", {1, 2, 4, 8}),
        ("zero", {0, 1, 2, 3}),
        ("checkpointing", {"None", "Selective", "Full"}),
        ("offload", {"None", "Optimizer", "Parameters"}),
        ("micro_batch", {1, 2, 4, 8, 16, 32, 64}),
    ):
        assert {getattr(layout, name) for layout in found} == values, name


def test_degrees_that_are_decided_must_divide_the_devices() -> None:
    assert {layout.tensor for layout in layouts(16, 64, tensor=2)} == {2}
    assert not list(layouts(16, 64, tensor=3))
    assert {layout.data for layout in layouts(16, 64, data=8)} == {8}


def test_there_are_no_more_copies_than_sequences() -> None:
    assert max(layout.data for layout in layouts(16, 4)) == 4


def test_a_batch_that_cannot_be_shared_evenly_is_rounded() -> None:
    found = layouts(16, 100, tensor=1, pipeline=1, sequence=1, micro_batch=1)
    assert {layout.global_batch for layout in found} == {96}


def test_counts_of_devices_are_parts_of_a_node_or_whole_nodes() -> None:
    node = catalogue.typical("a100")
    assert counts(node.of(32)) == [1, 2, 4, 8, 16, 32]
    assert counts(node.of(24)) == [1, 2, 3, 4, 6, 8, 24]
    assert divisors(36) == [1, 2, 3, 4, 6, 9, 12, 18, 36]
