from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch.distributed as dist

from cupola_api.outcome import FailureClass, read
from cupola_api.run import TERMINATION_LOG, World
from cupola_trainer.distributed import Ranks, ranks_of
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


def test_a_failure_of_any_rank_is_that_of_all(ranks: Ranks) -> None:
    def work() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/store/x")

    with pytest.raises(PodFailure, match="/store/x cannot be used: No space left on device"):
        ranks.on_each(work)
    assert ranks.on_each(lambda: ranks.rank) == [0]


def test_a_failure_is_said_before_the_others_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "termination-log"
    monkeypatch.setenv(TERMINATION_LOG, str(place))
    with pytest.raises(MemoryError), ranks_of(ALONE):
        raise MemoryError
    said = read(place.read_text())
    assert said is not None
    assert said.reason == "OutOfMemory"


def test_the_process_group_ends_with_the_block() -> None:
    with ranks_of(ALONE):
        assert dist.is_initialized()
    assert not dist.is_initialized()


def test_a_world_of_another_size_is_refused() -> None:
    planned = World(nodes=3, gpus_per_node=2, threads=1, device="Cpu")
    with pytest.raises(PodFailure, match="--nnodes 3 --nproc-per-node 2"), ranks_of(planned):
        pass


def test_an_unknown_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="shapes do not match"), ranks_of(ALONE):
        raise RuntimeError("shapes do not match")
    dist.destroy_process_group()
