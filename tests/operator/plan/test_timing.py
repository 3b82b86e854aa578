from __future__ import annotations

from dataclasses import replace

import pytest

from cupola_operator.plan import shape
from cupola_operator.plan.anatomy import flops, model
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.timing import timed

MODEL = model.of_shape(shape.of_size(1_000_000_000, vocabulary=32_000, context=2048))


def test_a_step_is_a_range_whose_utilisation_is_its_flops_over_its_time() -> None:
    layout = Layout(data=8, zero=1, micro_batch=2, accumulation=4)
    there = catalogue.typical("a100-80g")
    found = timed(MODEL, layout, there, "BF16")
    done = flops.training(MODEL).total * layout.global_batch
    for seconds, used in zip(found.seconds.ends, reversed(found.mfu.ends), strict=True):
        assert used == pytest.approx(done / seconds / (8 * there.gpu.flops("BF16")))
    assert 0 < found.mfu.low < found.mfu.high < 1
    together = [
        sum(ends) for ends in zip(*(part.ends for part in found.parts.values()), strict=True)
    ]
    assert together == pytest.approx(found.seconds.ends)


def test_the_quickstart_on_two_slots_takes_what_was_measured() -> None:
    """733 steps in 119 s (README: 0.0033 USD at 0.05 USD a slot hour), the start of pods included."""
    small = model.of_shape(shape.of_size(2_000_000, vocabulary=4096, context=256))
    there = replace(catalogue.typical("cpu"), gpus=2)
    found = timed(small, Layout(data=2, zero=1, micro_batch=4), there, "BF16")
    assert found.seconds.low * 733 < 119 < found.seconds.high * 733
    assert found.mfu.high <= 1
