from __future__ import annotations

from typing import Any

import pytest

from cupola_api import API_VERSION
from cupola_api.kinds import parse
from cupola_api.pretrainjob import PretrainJob
from cupola_operator import labels
from cupola_operator.plan import Refused
from cupola_operator.plan.answers import ladder as ladders
from cupola_operator.plan.answers.known import Known
from cupola_operator.plan.answers.ladder import RATIOS, Ladder
from cupola_operator.settings import Pool

POOL = Pool.model_validate(
    {
        "name": "h100",
        "device": "Gpu",
        "gpu": "h100-sxm",
        "gpusPerNode": 8,
        "nodes": 4,
        "pricePerGpuHour": "3.00",
        "gpuWatts": 700,
    }
)
SPEC = {
    "datasets": [{"name": "web", "weight": 2.0}],
    "model": {"size": "1B", "context": 1024},
    "tokensPerParameter": 20,
    "batch": "1M",
    "budget": {"maxCost": "5000"},
    "deadline": "90d",
    "schedule": {"learningRate": 1e-4, "warmup": 0.01},
    "parallelism": {"nodes": 4},
    "seed": 7,
}


def job(**spec: Any) -> PretrainJob:
    found = parse(
        {
            "apiVersion": API_VERSION,
            "kind": "PretrainJob",
            "metadata": {"name": "large", "namespace": "team"},
            "spec": SPEC | spec,
        }
    )
    assert isinstance(found, PretrainJob)
    return found


def made(resource: PretrainJob, **options: Any) -> Ladder:
    asked: dict[str, Any] = {"name": "web", "sizes": 3, "share": 0.1} | options
    return ladders.ladder(resource, POOL, "USD", Known({}), **asked)


@pytest.fixture(scope="module")
def found() -> Ladder:
    return made(job())


def test_sizes_rise_by_factors_of_two_each_on_three_ratios_of_tokens(found: Ladder) -> None:
    sizes = [int(rung.resource.spec.model.size or 0) for rung in found.rungs]
    assert len(sizes) == 9
    assert sizes == sorted(sizes)
    for small, large in zip(sizes[::3], sizes[3::3], strict=False):
        assert large / small == pytest.approx(2, rel=0.06)
    for number, rung in enumerate(found.rungs):
        training = rung.plan.training
        assert training
        assert training.tokens / training.parameters == pytest.approx(RATIOS[number % 3], rel=0.02)


def test_together_they_cost_the_share_and_not_much_less(found: Ladder) -> None:
    assert 0.08 < found.share <= 0.1
    cheaper = made(job(), share=0.02)
    assert cheaper.share <= 0.02
    size = [int(one.rungs[-1].resource.spec.model.size or 0) for one in (cheaper, found)]
    assert size[0] < size[1] < 500_000_000


def test_a_rung_is_the_target_but_for_its_size(found: Ladder) -> None:
    value = found.rungs[0].manifest()
    name = value["metadata"]["name"]
    assert name.startswith("web-")
    assert len(name) <= 36
    assert value["metadata"]["namespace"] == "team"
    assert value["metadata"]["labels"] == {labels.LADDER: "web"}
    spec = value["spec"]
    assert (spec["seed"], spec["datasets"]) == (7, [{"name": "web", "weight": 2.0}])
    assert spec["schedule"] == {"warmup": 0.01}
    assert spec["model"]["context"] == 1024
    assert spec["tokensPerParameter"] == RATIOS[0]
    assert not {"batch", "budget", "deadline", "parallelism", "tokens"} & spec.keys()
    again = parse(value)
    assert isinstance(again, PretrainJob)
    assert again.spec == found.rungs[0].resource.spec


def test_names_of_long_ladders_fit(found: Ladder) -> None:
    long = made(job(), name="a-very-long-name-of-a-ladder", sizes=2)
    names = {rung.name for rung in long.rungs}
    assert len(names) == 6
    assert all(len(name) <= 36 and "--" not in name for name in names)


def test_what_is_too_small_for_a_ladder_is_refused() -> None:
    with pytest.raises(Refused, match="write a larger --share, or fewer --sizes") as small:
        made(job(model={"size": "2M", "context": 256}, tokensPerParameter=1))
    assert small.value.reason == "LadderTooSmall"


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(Refused, match="does not fit") as huge:
        made(job(model={"size": "300B"}))
    assert huge.value.reason == "NothingFits"
