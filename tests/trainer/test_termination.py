"""SIGTERM to real processes, in phases that end at once and in those that end in good order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cupola_api.finetune import FullTuning, Tuning
from cupola_api.outcome import Outcome, read
from cupola_api.run import (
    TERMINATION_LOG,
    EvaluateRun,
    FineTuneRun,
    Hyperparameters,
    Input,
    PretrainRun,
    Run,
    Shape,
    World,
    dump,
)
from cupola_api.training import Optimizer, Precision

pytestmark = pytest.mark.timeout(120)

NOWHERE = Input(kind="Dataset", name="x", uri="file:///nowhere", digest="sha256:" + "0" * 64)
HYPERPARAMETERS = Hyperparameters(
    optimizer=Optimizer(),
    learning_rate=1e-2,
    warmup_steps=0,
    final_ratio=0.1,
    weight_decay=0.0,
    gradient_clipping=1.0,
    precision=Precision.FP32,
    seed=0,
)


def _run(verb: str, output: Path, ranks: int) -> Run:
    world = World(nodes=1, gpus_per_node=ranks, threads=1, device="Cpu")
    common = {"namespace": "default", "name": "x", "output": output.as_uri()}
    if verb == "evaluate":
        return EvaluateRun(**common, model=NOWHERE, tasks=[], seed=0, threads=1, device="Cpu")
    training = {
        **common,
        "hyperparameters": HYPERPARAMETERS,
        "world": world,
        "zero_stage": 1,
        "activation_checkpointing": False,
        "micro_batch": 1,
        "checkpoint_seconds": 1,
        "checkpoint_keep": 1,
    }
    if verb == "finetune":
        return FineTuneRun(
            **training,
            base=NOWHERE,
            dataset=NOWHERE,
            tuning=Tuning(full=FullTuning()),
            epochs=1,
            examples_per_step=2,
            max_length=8,
            warmup_ratio=0,
        )
    shape = Shape(
        layers=1,
        hidden=8,
        heads=1,
        kv_heads=1,
        ffn=8,
        vocabulary=8,
        context=8,
        tie_embeddings=True,
    )
    return PretrainRun(
        **training,
        datasets=[],
        shape=shape,
        steps=1,
        sequences_per_step=2,
    )


class Program:
    """A program that runs as a pod does."""

    def __init__(self, folder: Path, arguments: list[str], **environment: str) -> None:
        self._log = folder / "termination-log"
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            env=os.environ | {TERMINATION_LOG: str(self._log)} | environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, condition: Callable[[], object]) -> None:
        while not condition():
            assert self.process.poll() is None
            time.sleep(0.002)

    def ready(self) -> None:
        """Wait for the line that the program prints when the test may go on."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def listens(self) -> bool:
        """Whether SIGTERM would not just kill it."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        return bool(caught & 1 << signal.SIGTERM - 1)

    def said(self) -> Outcome | None:
        return read(self._log.read_text()) if self._log.exists() else None

    def end(self) -> int:
        code = self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """`start(arguments, **environment)`: a program, ended with the test."""
    programs: list[Program] = []

    def begin(arguments: list[str], **environment: str) -> Program:
        programs.append(Program(tmp_path, arguments, **environment))
        return programs[-1]

    yield begin
    for program in programs:
        program.process.kill()
        program.end()


def _is_stopped(said: Outcome | None) -> bool:
    assert said is not None
    assert said.step is None
    assert said.message == "stopped as asked (SIGTERM); the next attempt goes on from what is saved"
    return (said.outcome, said.reason) == ("Stopped", "Terminated")


@pytest.mark.parametrize("verb", ["pretrain", "finetune", "evaluate"])
@pytest.mark.parametrize("when", ["at its first lines", "while it imports"])
def test_a_pod_that_imports_ends_at_once_and_says_so(
    tmp_path: Path, start: Callable[..., Program], verb: str, when: str
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(dump(_run(verb, tmp_path / "out", ranks=1)))
    pod = start(["-m", "cupola_trainer", verb, str(file)])
    pod.wait_for(pod.listens)
    if when == "while it imports":
        maps = Path(f"/proc/{pod.process.pid}/maps")
        pod.wait_for(lambda: "libtorch_cpu" in maps.read_text())
    pod.process.terminate()
    assert pod.end() == 143
    assert _is_stopped(pod.said())


def test_a_rank_that_waits_for_others_ends_at_once_and_says_so(
    tmp_path: Path, start: Callable[..., Program]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    file = tmp_path / "run.yaml"
    file.write_text(dump(_run("pretrain", tmp_path / "out", ranks=2)))
    gang = {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    pod = start(["-m", "cupola_trainer", "pretrain", str(file)], **gang)
    own = psutil.Process(pod.process.pid)
    pod.wait_for(lambda: any(c.laddr.port == port for c in own.net_connections()))
    pod.process.terminate()
    assert pod.end() == 143
    assert _is_stopped(pod.said())


LISTEN = "from cupola_trainer import termination; termination.listen()\n"

WORK = (
    LISTEN
    + """
import sys, time
from cupola_api.outcome import Outcome
from cupola_trainer import pod
with termination.Termination() as noted:
    print("ready", flush=True)
    while not (noted.asked and pod.stopped()):
        time.sleep(0.01)
    if sys.argv[1] == "hangs":
        time.sleep(1000)
time.sleep(0.2)
pod.say(Outcome(outcome=sys.argv[1], step=3))
"""
)


@pytest.mark.parametrize("outcome", ["Stopped", "Succeeded"])
def test_work_that_notes_the_signal_has_the_last_word(
    start: Callable[..., Program], outcome: str
) -> None:
    pod = start(["-c", WORK, outcome])
    pod.ready()
    pod.process.terminate()
    assert pod.end() == 0
    said = pod.said()
    assert said is not None
    assert (said.outcome, said.step) == (outcome, 3)


def test_a_pod_that_is_killed_in_the_end_has_said_why(start: Callable[..., Program]) -> None:
    pod = start(["-c", WORK, "hangs"])
    pod.ready()
    pod.process.terminate()
    pod.wait_for(pod.said)
    pod.process.kill()
    assert pod.end() == -signal.SIGKILL
    assert _is_stopped(pod.said())


def test_a_child_of_a_pod_is_ended_by_the_signal_and_the_pod_is_not(
    start: Callable[..., Program],
) -> None:
    program = """
import os, signal, time
for _ in range(100):
    child = os.fork()
    if child == 0:
        time.sleep(1000)
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
time.sleep(0.2)
"""
    pod = start(["-c", LISTEN + program])
    assert pod.end() == 0
    assert pod.said() is None


GANG = """
import os, signal, subprocess, sys
environment = os.environ | {"LOCAL_WORLD_SIZE": "2"}
rank = [sys.executable, "-c", sys.argv[1]]
lost = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
left = subprocess.Popen(rank, env=environment, stdout=subprocess.PIPE)
left.stdout.readline()
if sys.argv[2] == "broken":
    lost.kill()
    lost.wait()
left.terminate()
code = left.wait()
lost.kill()
lost.wait()
sys.exit(code)
"""

RANK = (
    LISTEN
    + """
import time
termination.CAUSE_SECONDS = 0.3
print("ready", flush=True)
time.sleep(1000)
"""
)

RANK_WITH_A_CAUSE = (
    LISTEN
    + """
import os, time
from cupola_api.outcome import FailureClass
from cupola_trainer import pod
print("ready", flush=True)
while not termination._lost_a_rank():
    time.sleep(0.01)
time.sleep(0.2)  # it is asked to end in this time
pod.say(pod.PodFailure("LossNotFinite", "lower it", FailureClass.USER).outcome())
os._exit(1)
"""
)


def test_a_rank_that_is_ended_because_another_died_does_not_say_that_it_was_stopped(
    start: Callable[..., Program],
) -> None:
    pod = start(["-c", GANG, RANK, "broken"])
    assert pod.end() == 1
    said = pod.said()
    assert said is not None
    assert (said.outcome, said.reason) == ("Failed", "RankLost")
    assert "a process of this pod ended" in said.message


def test_a_rank_of_a_whole_gang_was_stopped(start: Callable[..., Program]) -> None:
    pod = start(["-c", GANG, RANK, "whole"])
    assert pod.end() == 143
    assert _is_stopped(pod.said())


def test_a_rank_that_knows_the_cause_may_still_say_it(start: Callable[..., Program]) -> None:
    pod = start(["-c", GANG, RANK_WITH_A_CAUSE, "broken"])
    assert pod.end() == 1
    said = pod.said()
    assert said is not None
    assert said.reason == "LossNotFinite"
