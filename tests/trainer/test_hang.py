"""Real processes that hang: each ends by itself, and says where."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cupola_api.outcome import Outcome, read
from cupola_api.run import HANG_TIMEOUT, TERMINATION_LOG
from cupola_trainer import hang

pytestmark = pytest.mark.timeout(60)

ALONE = """
import sys, time
from cupola_trainer import hang
from cupola_trainer.pod import say
from cupola_api.outcome import Outcome, OutcomeKind

def work():
    hang.progress("step 1 of 9")
    how = sys.argv[1]
    if how == "sleeps":
        time.sleep(1000)
    elif how == "holds the lock of Python":
        import ctypes
        ctypes.PyDLL(None).sleep(1000)
    elif how == "works":
        for _ in range(40):
            time.sleep(0.1)
            hang.progress()
    elif how == "writes":
        with open("/dev/null", "wb", buffering=0) as file:
            for _ in range(40):
                time.sleep(0.1)
                file.write(bytes(2 << 20))

with hang.Watch(3):
    work()
say(Outcome(outcome=OutcomeKind.SUCCEEDED))
"""

GANG = """
import sys, time
from cupola_api.run import World
from cupola_trainer import hang
from cupola_trainer.distributed import ranks_of
from cupola_trainer.command import VERBS
from cupola_trainer.pod import PodFailure, say

def slowly():
    with open("/dev/null", "wb", buffering=0) as file:
        for _ in range(60):
            time.sleep(0.1)
            file.write(bytes(2 << 20))
    return "hashed"

try:
    with ranks_of(World(nodes=1, gpus_per_node=2, threads=1, device="Cpu")) as ranks:
        ranks.total([1.0])
        hang.progress("step 5 of 9")
        print("ready", flush=True)
        sys.stdin.readline()
        if sys.argv[1] == "rank 0 is slow":
            print(ranks.on_main(slowly), flush=True)
        elif sys.argv[1] == "rank 1 hangs" and not ranks.main:
            time.sleep(1000)
        else:
            ranks.total([1.0])
except PodFailure as failure:
    say(failure.outcome())
    sys.exit(1)
"""


class Rank:
    """A process with a termination message of its own, as that of a pod of one rank."""

    def __init__(self, folder: Path, program: str, *words: str, timeout: str, **more: str) -> None:
        folder.mkdir(exist_ok=True)
        self._said = folder / "termination"
        self._stacks = folder / "stderr"
        with self._stacks.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, *words],
                env=os.environ
                | {TERMINATION_LOG: str(self._said), HANG_TIMEOUT: timeout}
                | {"DS_ACCELERATOR": "cpu"}
                | more,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ready(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == "ready\n":
                return
        pytest.fail(self.stacks())

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, Outcome | None]:
        out, _ = self.process.communicate()
        self.out = out
        return self.process.returncode, read(
            self._said.read_text() if self._said.exists() else None
        )

    def stacks(self) -> str:
        return self._stacks.read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Rank]]:
    """`start(program, *words, timeout=)`: a process, ended with the test."""
    made: list[Rank] = []

    def begin(program: str, *words: str, timeout: str = "2s", **more: str) -> Rank:
        made.append(Rank(tmp_path / str(len(made)), program, *words, timeout=timeout, **more))
        return made[-1]

    yield begin
    for rank in made:
        rank.process.kill()
        rank.process.communicate()


@pytest.fixture
def gang(start: Callable[..., Rank]) -> Callable[..., list[Rank]]:
    """Two ranks that have met, in their order."""

    def begin(how: str, timeout: str) -> list[Rank]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        ranks = [
            start(GANG, how, timeout=timeout, RANK=str(n), LOCAL_RANK="0", **together)
            for n in range(2)
        ]
        for rank in ranks:
            rank.ready()
        return ranks

    return begin


def hung(ended: tuple[int, Outcome | None]) -> Outcome:
    code, said = ended
    assert code == 1
    assert said is not None
    assert (said.outcome, said.reason, said.failure) == ("Failed", "Hung", "Infrastructure")
    return said


def test_a_rank_that_hangs_says_where_and_ends(start: Callable[..., Rank]) -> None:
    rank = start(ALONE, "sleeps")
    said = hung(rank.end())
    assert said.message.startswith("rank 3 made no progress for 2s: it was at step 1 of 9; ")
    assert "spec.stability.hangTimeout" in said.message
    assert "waiting" not in said.message
    assert "in work" in rank.stacks()


def test_a_rank_ends_also_where_python_does_not_run(start: Callable[..., Rank]) -> None:
    rank = start(ALONE, "holds the lock of Python")
    assert rank.end() == (1, None)
    assert "Timeout (0:00:04)" in rank.stacks()
    assert "in work" in rank.stacks()


@pytest.mark.parametrize("how", ["works", "writes"])
def test_a_rank_that_is_at_work_is_left_alone(start: Callable[..., Rank], how: str) -> None:
    code, said = start(ALONE, how).end()
    assert code == 0
    assert said is not None
    assert said.outcome == "Succeeded"


def test_a_rank_that_waits_for_one_that_is_frozen_ends(gang: Callable[..., list[Rank]]) -> None:
    first, second = gang("both agree", timeout="4s")
    second.process.send_signal(signal.SIGSTOP)
    first.go()
    message = hung(first.end()).message
    assert message.startswith(
        "rank 0 made no progress for 4s: it was at step 5 of 9, waiting for a rank that hangs or "
        "cannot be reached; "
    )
    assert "all_reduce" in first.stacks()


def test_the_one_that_hangs_is_told_and_not_the_one_that_waits(
    gang: Callable[..., list[Rank]],
) -> None:
    first, second = gang("rank 1 hangs", timeout="10s")
    first.go()
    second.go()
    assert hung(second.end()).message.startswith("rank 1 made no progress for 10s: it was at")
    code, said = first.end()
    assert code == 1
    assert said is not None
    assert said.reason == "RankLost", said.message


def test_a_rank_waits_for_another_as_long_as_that_one_works(
    gang: Callable[..., list[Rank]],
) -> None:
    ranks = gang("rank 0 is slow", timeout="3s")
    for rank in ranks:
        rank.go()
    assert [(*rank.end(), rank.out) for rank in ranks] == [(0, None, "hashed\n")] * 2


def test_a_program_that_is_not_watched_may_tell_of_progress() -> None:
    hang.progress("something")
    with hang.Watch(0) as watch:
        hang.progress("more")
        hang.progress()
        assert (watch.told, watch.doing) == (2, "more")
    assert not any(thread.name == "hang" for thread in threading.enumerate())
