from __future__ import annotations

from typing import Any

import pytest

from cupola_operator.build import resources
from cupola_operator.pools import Pool


def pool(device: str = "Gpu", **fields: Any) -> Pool:
    usual = {"name": "a", "gpusPerNode": 8, "pricePerGpuHour": "1", "gpuWatts": 1}
    return Pool.model_validate({**usual, "device": device, "threadsPerGpu": 12, **fields})


@pytest.mark.parametrize(
    ("given", "gpus", "threads", "wanted"),
    [
        (pool("Cpu"), 2, 6, {"requests": {"cpu": "6"}}),
        (
            pool("Cpu", memoryPerGpu="1536Mi"),
            2,
            6,
            {"requests": {"cpu": "6", "memory": "3072Mi"}, "limits": {"memory": "3072Mi"}},
        ),
        (pool("Cpu", cpuPerGpu="250m"), 2, 6, {"requests": {"cpu": "500m"}}),
        (
            pool(cpuPerGpu="11"),
            8,
            96,
            {"requests": {"cpu": "88", "nvidia.com/gpu": 8}, "limits": {"nvidia.com/gpu": 8}},
        ),
        (
            pool(resource="amd.com/gpu"),
            1,
            12,
            {"requests": {"cpu": "12", "amd.com/gpu": 1}, "limits": {"amd.com/gpu": 1}},
        ),
        (
            pool(memoryPerGpu="10Gi"),
            1,
            12,
            {
                "requests": {"cpu": "12", "memory": "10Gi", "nvidia.com/gpu": 1},
                "limits": {"memory": "10Gi", "nvidia.com/gpu": 1},
            },
        ),
    ],
)
def test_a_pod_takes_its_devices_with_their_cpu_and_memory(
    given: Pool, gpus: int, threads: int, wanted: dict[str, Any]
) -> None:
    assert resources.of_devices(given, gpus, threads) == wanted


def test_a_training_also_takes_what_the_pool_has_for_it() -> None:
    given = pool(resources={"rdma/hca_shared_devices": 1})
    found = resources.of_training(given, 8, 96)
    more = {"nvidia.com/gpu": 8, "rdma/hca_shared_devices": 1}
    assert found == {"requests": {"cpu": "96", **more}, "limits": more}
    assert "rdma/hca_shared_devices" not in resources.of_devices(given, 8, 96)["limits"]
    cpu = pool("Cpu", resources={"rdma/hca_shared_devices": 1})
    assert resources.of_training(cpu, 1, 1)["limits"] == {"rdma/hca_shared_devices": 1}


def test_a_curation_pod_takes_the_cpu_and_memory_of_one_slot_and_no_device() -> None:
    assert resources.of_threads(pool(memoryPerGpu="1536Mi")) == {
        "requests": {"cpu": "12", "memory": "1536Mi"},
        "limits": {"memory": "1536Mi"},
    }


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (pool(), "8Gi"),
        (pool(memoryPerGpu="1536Mi"), "12288Mi"),
        (pool(sharedMemory="64Gi", memoryPerGpu="1Gi"), "64Gi"),
        (pool("Cpu"), None),
        (pool("Cpu", memoryPerGpu="1Gi"), None),
        (pool("Cpu", sharedMemory="2Gi"), "2Gi"),
    ],
)
def test_shared_memory_is_bounded(given: Pool, size: str | None) -> None:
    assert resources.shared_memory(given, 8) == size
