"""The ranks of a training: how they meet, agree and fail together.

Control values travel as JSON bytes or as float64 over gloo, whatever the tensors travel over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import deepspeed
import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d
from torch.distributed.rendezvous import rendezvous

from cupola_api.outcome import FailureClass
from cupola_api.run import World
from cupola_trainer import hang
from cupola_trainer.failures import failure_of
from cupola_trainer.pod import PodFailure, leave

Result = TypeVar("Result")

TIMEOUT = timedelta(days=1)
"""Longest wait in a collective. Rank 0 may hash a whole Dataset meanwhile: it is `hang` that tells
work from a hang, and ends a rank that waits in vain."""


class Ranks:
    """One rank among the others. Every method that communicates must be called by all ranks."""

    def __init__(
        self, rank: int, size: int, device: torch.device, store: str = "the store"
    ) -> None:
        """`store`: what a failure of storage names, where the error names no path."""
        self.rank = rank
        self.size = size
        self.device = device
        self.store = store
        cpu = device.type == "cpu"
        self._control = dist.group.WORLD if cpu else dist.new_group(backend="gloo", timeout=TIMEOUT)

    @property
    def main(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def total(self, values: list[float]) -> list[float]:
        """The sum over all ranks of each value, the same on every rank."""
        tensor = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(tensor, group=self._control)
        result: list[float] = tensor.tolist()
        return result

    def gather(self, value: Any) -> list[Any]:
        """The JSON value of every rank, in their order."""
        data = json.dumps(value).encode()
        longest = torch.tensor(len(data))
        dist.all_reduce(longest, dist.ReduceOp.MAX, group=self._control)
        mine = torch.frombuffer(bytearray(data.ljust(int(longest))), dtype=torch.uint8)
        others = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(others, mine, group=self._control)
        return [json.loads(tensor.numpy().tobytes()) for tensor in others]

    def on_each(self, work: Callable[[], Result]) -> list[Result]:
        """Do work in every rank; every rank returns the JSON value of each, in their order.

        Raises the PodFailure of the first rank that failed, on every rank.
        """
        answers = self.gather(self._answer(work))
        for answer in answers:
            _raise_failure(answer)
        return [answer["value"] for answer in answers]

    def on_main(self, work: Callable[[], Result]) -> Result:
        """Do work in rank 0; every rank returns its JSON value, or raises its PodFailure."""
        answer = self.gather(self._answer(work) if self.main else {})[0]
        _raise_failure(answer)
        result: Result = answer["value"]
        return result

    def _answer(self, work: Callable[[], Result]) -> dict[str, Any]:
        """What work came to, so that other ranks can be told; raises what nobody foresaw."""
        try:
            return {"value": work()}
        except Exception as error:
            failure = failure_of(error, store=self.store)
            if failure is None:
                raise
            return {"failure": [failure.reason, failure.message, failure.failure.value]}


def _raise_failure(answer: dict[str, Any]) -> None:
    if "failure" in answer:
        reason, message, kind = answer["failure"]
        raise PodFailure(reason, message, FailureClass(kind))


@contextmanager
def ranks_of(world: World, store: str = "the store") -> Iterator[Ranks]:
    """Meet the other ranks, as torchrun's environment says; without it this is the only rank.

    `store`: see `Ranks`. Raises PodFailure if their number is not the run's.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size != world.size:
        raise PodFailure(
            "WorldMismatch",
            f"{size} ranks were started, but the run is planned for {world.size}; start it with "
            f"torchrun, --nnodes {world.nodes} --nproc-per-node {world.gpus_per_node}",
            FailureClass.INFRASTRUCTURE,
        )
    gpu = world.device == "Gpu"
    rank, local = (int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK"))
    device = torch.device("cuda", local) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    alone = "LOCAL_RANK" not in os.environ
    os.environ["LOCAL_RANK"] = str(local)  # DeepSpeed asks for it
    # DeepSpeed would compile an operator for CPU ranks that share memory, for 41 s; gloo gives the
    # same sums on one node as over many.
    vars(deepspeed.ops)["__compatible_ops__"] = {}
    deepspeed.utils.logger.setLevel("WARNING")
    lost = False
    with hang.Watch(rank) as watch:
        try:
            _meet(watch, rank, size, gpu=gpu)
            yield Ranks(rank, size, device, store)
        except Exception as error:
            failure = failure_of(error, store=store)
            if failure:  # said before the farewell, of which other ranks may make one of their own
                leave(failure.outcome())
            lost = isinstance(error, RuntimeError)
            if lost and failure:
                raise failure from error
            raise
        finally:
            if dist.is_initialized() and not lost:  # a farewell could wait for ranks that are gone
                deepspeed.comm.destroy_process_group()
            if alone:  # other libraries take it for a gang
                os.environ.pop("LOCAL_RANK", None)


def _meet(watch: hang.Watch, rank: int, size: int, *, gpu: bool) -> None:
    """Find the other ranks, and let them know of each other's progress."""
    hang.progress("the meeting of the ranks")
    place = "env://" if "MASTER_ADDR" in os.environ else "tcp://127.0.0.1:0"
    prefix: Any = vars(dist)["PrefixStore"]  # its types are incomplete
    store, _, _ = next(rendezvous(place, rank, size, timeout=TIMEOUT))
    if size > 1:
        watch.share(prefix("hang", store))
    # Groups that DeepSpeed makes have the default, after which NCCL would end the process unheard.
    vars(distributed_c10d).update(default_pg_timeout=TIMEOUT, default_pg_nccl_timeout=TIMEOUT)
    dist.init_process_group(
        "nccl" if gpu else "gloo",
        store=prefix("ranks", store),
        rank=rank,
        world_size=size,
        timeout=TIMEOUT,
    )
    deepspeed.init_distributed()
