from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_trainer.pretrain.schedule import learning_rate


def test_it_rises_to_the_peak_and_falls_to_its_share() -> None:
    rates = [
        learning_rate(step, steps=101, warmup=10, peak=1e-3, final_ratio=0.1) for step in range(101)
    ]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[9] == rates[10] == pytest.approx(1e-3)
    assert rates[55] == pytest.approx(1e-3 * 0.55)
    assert rates[100] == pytest.approx(1e-4)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_without_warmup_it_begins_at_the_peak() -> None:
    assert learning_rate(0, steps=5, warmup=0, peak=0.5, final_ratio=0.0) == 0.5


@given(
    st.integers(1, 500).flatmap(
        lambda steps: st.tuples(st.just(steps), st.integers(0, steps), st.integers(0, steps - 1))
    )
)
def test_it_is_positive_and_never_above_the_peak(value: tuple[int, int, int]) -> None:
    steps, warmup, step = value
    rate = learning_rate(step, steps=steps, warmup=warmup, peak=1.0, final_ratio=0.1)
    assert 0 < rate <= 1
