from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cupola_operator.plan import Refused
from cupola_operator.plan.speed import catalogue, machine
from cupola_operator.settings import Pool

POOL = {
    "name": "a100",
    "device": "Gpu",
    "gpusPerNode": 8,
    "nodes": 4,
    "pricePerGpuHour": "1.50",
    "gpuWatts": 390,
}


def of(**fields: Any) -> machine.Machine:
    return machine.of_pool(Pool.model_validate(POOL | fields), "EUR")


def test_a_pool_has_what_it_says_and_of_the_catalogue_what_it_does_not() -> None:
    found = of(gpu="a100-40g", networkGbit=800, hostWatts=1000, spotPricePerGpuHour="0.6", pue=1.1)
    assert found.gpu.memory == catalogue.gpu("a100-40g").memory
    assert found.gpu.watts == 390
    assert found.network == 100e9
    assert (found.gpus, found.nodes, found.world) == (8, 4, 32)
    assert found.host_watts == 1000
    assert found.price.on_demand == Decimal("1.50")
    assert found.price.spot == Decimal("0.6")
    assert found.price.reserved is None
    assert found.price.currency == "EUR"
    assert found.assumed == ("failuresPerNodeDay", "carbonIntensity")


def test_a_pool_that_names_no_gpu_has_the_one_that_it_is_named_for() -> None:
    assert of().gpu.name == "a100-80g"


def test_a_pool_whose_gpu_is_not_known_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        Refused, match=r"'gold' does not say which GPU it has; write gpu: .* h100-sxm"
    ):
        of(name="gold")


def test_a_slot_of_a_cpu_pool_is_as_many_cores_as_it_has_threads() -> None:
    core = catalogue.gpu("cpu")
    slot = of(name="cpu", device="Cpu", threadsPerGpu=3, memoryPerGpu="6Gi", gpuWatts=15)
    assert slot.gpu.flops("FP32") == 3 * core.flops("FP32")
    assert slot.gpu.memory == 6 * 2**30
    assert slot.gpu.watts == 15
    assert slot.host_memory == 8 * 6 * 2**30
