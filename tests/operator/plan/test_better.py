from __future__ import annotations

from dataclasses import replace

import pytest

from cupola_operator.plan import shape
from cupola_operator.plan.anatomy import model
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.answers import better, training
from cupola_operator.plan.answers.training import Work
from cupola_operator.plan.speed import catalogue


def work(size: int = 1_000_000_000, **layout: object) -> Work:
    fields = {"data": 8, "zero": 1, "micro_batch": 2, "accumulation": 4} | layout
    return Work(
        kind="PretrainJob",
        name="base",
        model=model.of_shape(shape.of_size(size, vocabulary=32_000, context=2048)),
        layout=Layout(**fields),  # type: ignore[arg-type]
        machine=catalogue.typical("a100-80g"),
        steps=1000,
        precision="BF16",
    )


def test_recomputing_what_there_is_room_for_is_told_to_stop() -> None:
    asked = work(checkpointing="Full")
    first, *_ = better.layouts(asked, training.plan(asked))
    assert "activationCheckpointing: false" in first.what
    assert "times as fast: write it" in first.reason


def test_layouts_that_are_hardly_faster_are_not_worth_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = work(checkpointing="Full")
    monkeypatch.setattr(better, "USEFUL", 100.0)
    assert list(better.layouts(asked, training.plan(asked))) == []


def test_what_does_not_fit_has_no_faster_layouts() -> None:
    large = work(70_000_000_000)
    assert list(better.layouts(large, replace(training.plan(large), training=None))) == []


def test_the_cheapest_remedy_comes_first() -> None:
    said = better.remedy(work(7_000_000_000, zero=0))
    assert said.startswith("it fits with spec.parallelism: {")


def test_where_no_setting_helps_more_devices_do() -> None:
    said = better.remedy(work(70_000_000_000, zero=3, checkpointing="Full"))
    assert (
        "such devices with spec.parallelism: {zeroStage: 3, activationCheckpointing: true}" in said
    )


def test_where_nothing_helps_it_says_so() -> None:
    endless = replace(work(zero=3, checkpointing="Full", micro_batch=4096))
    assert better.remedy(endless).startswith("no number of such devices is enough")
