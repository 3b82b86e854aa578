"""CPU, memory, devices and shared memory of a pod, from its pool."""

from __future__ import annotations

from cupola_api import quantities
from cupola_operator.cluster import Object
from cupola_operator.pools import GPU, Device, Pool


def of_devices(pool: Pool, gpus: int, threads: int) -> Object:
    """Resources of a pod that computes on `gpus` devices of the pool, with `threads` in all."""
    devices = {pool.resource or GPU: gpus} if pool.device is Device.GPU else {}
    return _resources(pool, gpus, threads, devices)


def of_training(pool: Pool, gpus: int, threads: int) -> Object:
    """The same of a pod of a training, which also gets what the pool has for those."""
    found = of_devices(pool, gpus, threads)
    if not pool.resources:
        return found
    limits = {**found.get("limits", {}), **pool.resources}
    return {"requests": {**found["requests"], **pool.resources}, "limits": limits}


def of_threads(pool: Pool) -> Object:
    """Resources of a pod that computes on the CPU threads of one slot of the pool alone."""
    return _resources(pool, 1, pool.threads_per_gpu, {})


def shared_memory(pool: Pool, gpus: int) -> str | None:
    """Size of /dev/shm of a training's pod; None where it needs none of its own.

    It counts as memory of the pod, so it can be as large as that.
    """
    if pool.shared_memory or pool.device is Device.CPU:
        return pool.shared_memory
    return quantities.times(gpus, pool.memory_per_gpu or "1Gi")


def _resources(pool: Pool, gpus: int, threads: int, devices: dict[str, int]) -> Object:
    """Devices are limited to what is requested, as Kubernetes wants it; CPU is not limited.

    Memory is requested whole: a pod that was promised less than its limit could be killed by
    what its neighbours take.
    """
    cpu = _cores(gpus, pool.cpu_per_gpu) if pool.cpu_per_gpu else str(threads)
    each = pool.memory_per_gpu
    limits: Object = {"memory": quantities.times(gpus, each)} if each else {}
    limits |= devices
    found = {"requests": {"cpu": cpu, **limits}, "limits": limits}
    return {kind: values for kind, values in found.items() if values}


def _cores(number: int, each: str) -> str:
    """So many times an amount of CPU: `_cores(2, "500m") == "1000m"`."""
    unit = "m" if each.endswith("m") else ""
    return f"{number * int(each.removesuffix('m'))}{unit}"
