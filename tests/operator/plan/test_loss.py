from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.plan.answers import loss

sizes = st.floats(1e7, 1e12)
tokens = st.floats(1e8, 1e14)


def test_the_law_gives_what_its_constants_give() -> None:
    """Chinchilla's own run, 70B parameters on 1.4T tokens, by both published fits."""
    assert loss.BESIROGLU.loss(70e9, 1.4e12) == pytest.approx(
        1.8172 + 482.01 / 70e9**0.3478 + 2085.43 / 1.4e12**0.3658
    )
    assert loss.HOFFMANN.loss(70e9, 1.4e12) == pytest.approx(1.937, abs=0.002)


@given(sizes, tokens)
def test_the_range_holds_both_published_fits(parameters: float, count: float) -> None:
    found = loss.expected(parameters, count)
    for law in (loss.BESIROGLU, loss.HOFFMANN):
        assert found.low <= law.loss(parameters, count) <= found.high
    assert found.expected == loss.BESIROGLU.loss(parameters, count)


@given(sizes, tokens, st.floats(1.01, 10))
def test_more_parameters_or_tokens_never_make_the_loss_worse(
    parameters: float, count: float, factor: float
) -> None:
    here = loss.expected(parameters, count).expected
    assert loss.expected(parameters * factor, count).expected < here
    assert loss.expected(parameters, count * factor).expected < here


@given(st.floats(1e18, 1e27), st.floats(0.02, 50))
def test_no_split_of_the_same_compute_is_better_than_the_best(flops: float, factor: float) -> None:
    best = loss.best(flops)
    assert pytest.approx(flops) == 6 * best.parameters * best.tokens
    other = loss.at(flops, best.parameters * factor)
    assert other.loss.expected >= best.loss.expected - 1e-12


def test_the_best_split_of_chinchillas_compute_has_about_twenty_tokens_a_parameter() -> None:
    """Besiroglu et al. 2024 find that the corrected fit agrees with 20 tokens a parameter."""
    assert 15 < loss.best(5.76e23).tokens_per_parameter < 30


def test_the_frontier_has_its_best_model_in_the_middle() -> None:
    splits = loss.frontier(1e23)
    losses = [split.loss.expected for split in splits]
    assert min(losses) == losses[2]
    assert [split.parameters for split in splits] == sorted(s.parameters for s in splits)


def test_tokens_that_repeat_are_worth_less() -> None:
    """Muennighoff et al. 2023: four epochs are almost as good as new data, forty are not."""
    assert loss.worth_of(100.0, 200.0) == 100
    assert loss.worth_of(400.0, 100.0) == pytest.approx(400, rel=0.08)
    assert loss.worth_of(4000.0, 100.0) < 1600


@given(st.floats(1, 1e12), st.floats(1, 1e12))
def test_repeats_are_worth_something_but_never_more_than_new_tokens(
    count: float, unique: float
) -> None:
    worth = loss.worth_of(count, unique)
    assert min(count, unique) * (1 - 1e-9) <= worth <= count * (1 + 1e-9)


def test_of_a_tiny_model_the_law_says_nothing() -> None:
    assert loss.says_nothing(2e6, 1.5e6, 4096)
    assert not loss.says_nothing(7e9, 140e9, 32_000)
    assert math.log(4096) < loss.BESIROGLU.loss(2e6, 1.5e6)


def test_it_says_where_it_was_fitted() -> None:
    assert loss.fitted(7e9, 140e9)
    assert not loss.fitted(405e9, 15e12)
    assert not loss.fitted(7e9, 2e12)


def test_a_model_without_parameters_or_tokens_has_no_loss() -> None:
    for parameters, count in ((0, 1e9), (1e9, 0)):
        with pytest.raises(ValueError, match="not defined"):
            loss.expected(parameters, count)
