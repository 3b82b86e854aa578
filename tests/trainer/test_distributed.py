from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist

from cupola_api.outcome import FailureClass
from cupola_api.run import World
from cupola_trainer.distributed import Ranks, failure_of, ranks_of
from cupola_trainer.pod import PodFailure

ALONE = World(nodes=1, gpus_per_node=1, threads=1, device="Cpu")


@pytest.fixture
def ranks() -> Iterator[Ranks]:
    with ranks_of(ALONE) as ranks:
        yield ranks


def test_one_rank_agrees_with_itself(ranks: Ranks) -> None:
    assert ranks.main
    assert ranks.total([1.5, True]) == [1.5, 1.0]
    assert ranks.gather({"é": [1, None]}) == [{"é": [1, None]}]
    assert ranks.on_main(lambda: "done") == "done"


def test_a_failure_of_rank_0_is_that_of_all(ranks: Ranks) -> None:
    def work() -> None:
        raise PodFailure("InputInvalid", "it is broken", FailureClass.DATA)

    with pytest.raises(PodFailure, match="it is broken") as caught:
        ranks.on_main(work)
    assert (caught.value.reason, caught.value.failure) == ("InputInvalid", FailureClass.DATA)


def test_the_process_group_ends_with_the_block() -> None:
    with ranks_of(ALONE):
        assert dist.is_initialized()
    assert not dist.is_initialized()


def test_a_world_of_another_size_is_refused() -> None:
    planned = World(nodes=3, gpus_per_node=2, threads=1, device="Cpu")
    with pytest.raises(PodFailure, match="--nnodes 3 --nproc-per-node 2"), ranks_of(planned):
        pass


@pytest.mark.parametrize(
    ("text", "reason", "failure"),
    [
        (
            "[/src/gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:1: Reset. This is often ...",
            "RankLost",
            FailureClass.INFRASTRUCTURE,
        ),
        (
            "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory",
            "OutOfMemory",
            FailureClass.OUT_OF_MEMORY,
        ),
    ],
)
def test_errors_of_torch_are_understood(text: str, reason: str, failure: FailureClass) -> None:
    found = failure_of(RuntimeError(text))
    assert found is not None
    assert (found.reason, found.failure) == (reason, failure)
    assert "pair.cc" not in found.message


def test_memory_of_a_device_is_understood() -> None:
    found = failure_of(torch.OutOfMemoryError("CUDA out of memory"))
    assert found is not None
    assert found.reason == "OutOfMemory"


def test_an_unknown_error_stays_what_it_is() -> None:
    assert failure_of(RuntimeError("shapes do not match")) is None
    with pytest.raises(RuntimeError, match="shapes do not match"), ranks_of(ALONE):
        raise RuntimeError("shapes do not match")
    dist.destroy_process_group()
