from __future__ import annotations

import math
import random

import pytest

from cupola_operator.plan import Refused
from cupola_operator.plan.answers import loss, scaling
from cupola_operator.plan.answers.loss import BESIROGLU, Law, Own
from cupola_operator.plan.answers.scaling import Run

SIZES = [1e6, 2e6, 4e6, 8e6]
RATIOS = [10.0, 20.0, 40.0]
OTHER = Law(e=1.2, a=300.0, b=1500.0, alpha=0.31, beta=0.38)


def runs(
    law: Law, sizes: list[float] = SIZES, ratios: list[float] = RATIOS, noise: float = 0.0
) -> list[Run]:
    dice = random.Random(3)
    return [
        Run(size, size * ratio, law.loss(size, size * ratio) * math.exp(dice.gauss(0, noise)))
        for size in sizes
        for ratio in ratios
    ]


def test_the_constants_of_exact_losses_are_found_again() -> None:
    own = scaling.fit("exact", runs(OTHER))
    assert own.free
    assert (own.law.alpha, own.law.beta) == pytest.approx((0.31, 0.38), abs=0.005)
    assert own.law.e == pytest.approx(1.2, abs=0.03)
    assert own.law.loss(60e6, 1.2e9) == pytest.approx(OTHER.loss(60e6, 1.2e9), rel=2e-3)
    assert (own.runs, own.parameters, own.tokens) == (12, (1e6, 8e6), (1e7, 3.2e8))


def test_noise_widens_the_range_and_the_truth_stays_within() -> None:
    calm = scaling.fit("calm", runs(OTHER, noise=0.003)).expected(60e6, 1.2e9)
    wild = scaling.fit("wild", runs(OTHER, noise=0.02)).expected(60e6, 1.2e9)
    truth = OTHER.loss(60e6, 1.2e9)
    assert calm.low < truth < calm.high
    assert wild.low < truth < wild.high
    assert wild.high / wild.low > calm.high / calm.low


def test_one_run_that_went_wrong_moves_little() -> None:
    good = runs(OTHER)
    bad = [*good[:5], Run(good[5].parameters, good[5].tokens, good[5].loss * 1.5), *good[6:]]
    own = scaling.fit("robust", bad)
    assert own.law.loss(60e6, 1.2e9) == pytest.approx(OTHER.loss(60e6, 1.2e9), rel=0.02)


def test_of_few_runs_the_exponents_stay_the_published_ones() -> None:
    law = Law(1.5, 350.0, 1800.0, BESIROGLU.alpha, BESIROGLU.beta)
    own = scaling.fit("few", runs(law, SIZES[:3], [10.0, 40.0]))
    assert not own.free
    assert (own.law.alpha, own.law.beta) == (BESIROGLU.alpha, BESIROGLU.beta)
    assert own.law.e == pytest.approx(1.5, abs=0.05)
    assert {draw.alpha for draw in own.draws} != {BESIROGLU.alpha}
    found = own.expected(60e6, 1.2e9)
    assert found.low < law.loss(60e6, 1.2e9) < found.high


@pytest.mark.parametrize(
    ("sizes", "ratios"), [(SIZES[:3], [20.0]), (SIZES[:1], RATIOS), (SIZES, [20.0]), ([], [])]
)
def test_runs_that_do_not_say_enough_are_refused(sizes: list[float], ratios: list[float]) -> None:
    with pytest.raises(Refused, match="do not say how the loss falls; it takes 4 runs") as refused:
        scaling.fit("none", runs(OTHER, sizes, ratios))
    assert refused.value.reason == "TooFewRuns"


def test_the_same_runs_give_the_same_law() -> None:
    few = runs(OTHER, SIZES[:3], [10.0, 40.0], noise=0.01)
    assert scaling.fit("a", few) == scaling.fit("a", few)


OWN = Own(
    name="mine",
    law=OTHER,
    draws=(OTHER,),
    scatter=0.01,
    runs=12,
    parameters=(1e6, 8e6),
    tokens=(1e7, 3.2e8),
    free=True,
)


def test_a_law_of_ones_own_takes_the_place_of_the_published_one() -> None:
    found = loss.expected(4e6, 8e7, OWN)
    assert found.expected == OTHER.loss(4e6, 8e7)
    assert math.log(found.high / found.expected) == pytest.approx(1.2816 * 0.01)
    assert loss.fitted(4e6, 8e7, OWN)
    assert not loss.fitted(4e7, 8e7, OWN)
    assert not loss.says_nothing(4e6, 8e7, 32_000, OWN)
    best = loss.best(1e18, OWN)
    for factor in (0.8, 1.25):
        there = loss.at(1e18, best.parameters * factor, OWN)
        assert there.loss.expected > best.loss.expected
    assert [one.loss for one in loss.frontier(1e18, OWN)][2] == best.loss


def test_constants_that_are_not_known_well_widen_the_range() -> None:
    worse = Law(OTHER.e * 1.2, OTHER.a, OTHER.b, OTHER.alpha, OTHER.beta)
    unsure = Own(**{**vars(OWN), "draws": (OTHER, worse, OTHER, worse)})
    sure = Own(**{**vars(OWN), "draws": ()})
    assert unsure.expected(4e6, 8e7).high > sure.expected(4e6, 8e7).high
