from __future__ import annotations

from typing import Any

import pytest

from cupola_api.common import Attempt, Status
from cupola_api.forecast import Actual, Forecast
from cupola_api.run import ListRun, PretrainRun
from cupola_operator.children import Placement, Resolved
from cupola_operator.plan.answers.calibrating import Compared, calibrated, compared
from cupola_operator.plan.speed import calibration
from cupola_operator.plan.speed.timing import CPU
from cupola_operator.settings import Pool

HYPER = {
    "optimizer": {},
    "learningRate": 3e-3,
    "warmupSteps": 15,
    "finalRatio": 0.1,
    "weightDecay": 0.1,
    "gradientClipping": 1.0,
    "precision": "BF16",
    "seed": 0,
}


def pool(name: str, device: str = "Cpu", **fields: Any) -> Pool:
    value = {"name": name, "device": device, "gpusPerNode": 2, "gpuWatts": 15} | fields
    return Pool.model_validate(value)


def run(first: Pool, *others: Pool, **fields: Any) -> Resolved:
    """A training of two ranks as it was resolved."""
    found = PretrainRun.model_validate(
        {
            "namespace": "default",
            "name": "base",
            "output": "file:///out",
            "datasets": [],
            "shape": {"layers": 4, "hidden": 192, "heads": 6, "kvHeads": 6, "ffn": 512,
                      "vocabulary": 4096, "context": 256, "tieEmbeddings": True},
            "steps": 488, "sequencesPerStep": 16, "microBatch": 4, "hyperparameters": HYPER,
            "world": {"nodes": 1, "gpusPerNode": 2, "threads": 1, "device": "Cpu"}, "zeroStage": 1,
            "activationCheckpointing": False, "checkpointSeconds": 30, "checkpointKeep": 3,
        }
        | fields
    )  # fmt: skip
    placement = Placement(pool=first, others=list(others), currency="USD", image="i")
    return Resolved("config", found.digest, found, placement)


def status(step: str | None = "0.5", **attempt: Any) -> Status:
    plan = Forecast(pool="cpu", nodes=1, devices=2, actual=Actual(step_seconds=step))
    done = Attempt(number=1, name="a", outcome="Succeeded", **attempt)
    return Status(plan=plan, attempts=[done])


def learned(found: Compared | str) -> Compared:
    assert isinstance(found, Compared)
    return found


def test_a_run_stands_beside_the_roofline_of_its_pool() -> None:
    one = learned(compared("base", run(pool("cpu")), status("0.5")))
    assert (one.name, one.pool, one.devices, one.usual) == ("base", "cpu", 2, CPU)
    assert one.ratio == pytest.approx(0.5 / one.roofline)
    stronger = learned(compared("base", run(pool("cpu", threadsPerGpu=2)), status("0.5")))
    assert stronger.roofline < one.roofline
    twice = learned(compared("base", run(pool("cpu"), sequencesPerStep=32), status("0.5")))
    assert twice.roofline > 1.8 * one.roofline
    again = learned(compared("base", run(pool("cpu"), activationCheckpointing=True), status()))
    assert again.roofline > one.roofline


def test_the_friction_in_the_settings_does_not_count_twice() -> None:
    plain = learned(compared("base", run(pool("cpu")), status()))
    fitted = pool("cpu", friction={"low": 2, "expected": 3, "high": 4})
    assert learned(compared("base", run(fitted), status())) == plain


def test_it_is_of_the_pool_that_it_ended_on() -> None:
    gpu = pool("h100", "Gpu", gpu="h100-sxm")
    moved = run(pool("cpu"), gpu)
    one = learned(compared("base", moved, status(pool="h100")))
    assert (one.pool, one.usual) == ("h100", calibration.friction())


@pytest.mark.parametrize(
    ("resolved", "said", "why"),
    [
        (None, "0.5", "the ConfigMap of its run is not at hand"),
        (run(pool("cpu")), None, "the time of its steps was not measured"),
        (run(pool("cpu")), "0", "the time of its steps was not measured"),
        (run(pool("gold", "Gpu")), "0.5", "does not say which GPU it has"),
    ],
)
def test_what_says_nothing_says_why(resolved: Resolved | None, said: str | None, why: str) -> None:
    found = compared("base", resolved, status(said))
    assert isinstance(found, str)
    assert why in found


def test_a_listing_is_no_pretraining() -> None:
    listing = ListRun(namespace="default", name="data", output="file:///out", sources=[])
    one = run(pool("cpu"))
    found = compared("data", Resolved("c", "d", listing, one.placement), status())
    assert found == "it is no pretraining"
    assert compared("base", one, Status()) == "the time of its steps was not measured"


def test_each_pool_has_a_friction_of_its_own() -> None:
    first = learned(compared("a", run(pool("fast")), status("0.1")))
    second = learned(compared("b", run(pool("slow")), status("0.5")))
    third = learned(compared("c", run(pool("slow")), status("0.6")))
    fast, slow = calibrated([third, first, second])
    assert (fast.pool, slow.pool) == ("fast", "slow")
    assert fast.check is None
    assert slow.check
    assert slow.check.runs == 2
    assert [one.name for one in slow.runs] == ["c", "b"]
    assert fast.friction.expected < slow.friction.expected
