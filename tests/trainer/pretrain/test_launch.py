"""Pretraining under torchrun with two ranks, killed and stopped on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from cupola_api import outcome
from cupola_api.artifact import MANIFEST, Manifest, canonical, verify
from cupola_api.outcome import Outcome
from cupola_api.run import (
    ATTEMPT,
    ORDER,
    TERMINATION_LOG,
    Hyperparameters,
    PretrainRun,
    Shape,
    WeightedInput,
    World,
    dump,
)
from cupola_api.training import Optimizer, Precision
from cupola_trainer import history, storage
from cupola_trainer.storage import Place, uri_of

pytestmark = [pytest.mark.local, pytest.mark.timeout(600)]

VOCABULARY = 300
CONTEXT = 32
STEPS = 120


def _run(
    output: Place, dataset: WeightedInput, *, ranks: int, stage: int, precision: Precision
) -> PretrainRun:
    return PretrainRun(
        namespace="default",
        name="tiny",
        output=uri_of(output),
        datasets=[dataset],
        shape=Shape(
            layers=2,
            hidden=32,
            heads=4,
            kv_heads=2,
            ffn=64,
            vocabulary=VOCABULARY,
            context=CONTEXT,
            tie_embeddings=True,
        ),
        order=ORDER,
        steps=STEPS,
        sequences_per_step=16,
        micro_batch=4,
        hyperparameters=Hyperparameters(
            optimizer=Optimizer(),
            learning_rate=1e-2,
            warmup_steps=5,
            final_ratio=0.1,
            weight_decay=0.1,
            gradient_clipping=1.0,
            precision=precision,
            seed=0,
        ),
        world=World(nodes=1, gpus_per_node=ranks, threads=1, device="Cpu"),
        zero_stage=stage,
        activation_checkpointing=False,
        checkpoint_seconds=1,
        checkpoint_keep=100,
    )


class Pod:
    """A pod of a run as a tree of processes."""

    def __init__(self, run: PretrainRun, attempt: str, files: Path | None = None) -> None:
        """`files`: where what the pod is given lies, if not in its store."""
        files = files or Path(storage.place_of(run.output))
        files.mkdir(exist_ok=True)
        self.attempt = storage.place_of(run.folder) / attempt
        self._log = files / f"{attempt}.termination"
        path = files / "run.yaml"
        path.write_text(dump(run))
        ranks = run.world.size
        torchrun = [
            *("-m", "torch.distributed.run", "--nproc-per-node", str(ranks)),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"),
        ]
        self._process = subprocess.Popen(
            [
                sys.executable,
                *(torchrun if ranks > 1 else []),
                *("-m", "cupola_trainer", "pretrain", str(path)),
            ],
            env=os.environ
            | {ATTEMPT: attempt, TERMINATION_LOG: str(self._log), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
        )

    def steps(self) -> int:
        """Steps that are in the history of this attempt."""
        path = self.attempt / history.HISTORY
        assert isinstance(path, Path)
        return len(path.read_text().splitlines()) if path.exists() else 0

    def checkpoints(self) -> list[Any]:
        """Its complete checkpoints, oldest first."""
        return sorted(
            path
            for path in storage.entries(self.attempt / "checkpoints")
            if path.name.startswith("step-") and (isinstance(path, Path) or storage.is_sealed(path))
        )

    def wait_for(self, condition: Callable[[Pod], bool]) -> None:
        """Wait until a condition holds; fails if the pod ends first."""
        while not condition(self):
            assert self._process.poll() is None
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        """Send a signal as a kubelet does: SIGTERM to the first process, SIGKILL to all."""
        tree = psutil.Process(self._process.pid)
        if number == signal.SIGKILL:
            for process in tree.children(recursive=True):
                process.kill()
        tree.send_signal(number)

    def ranks(self) -> list[psutil.Process]:
        """Its ranks, in their order."""
        ranks = psutil.Process(self._process.pid).children()
        return sorted(ranks, key=lambda rank: int(rank.environ()["RANK"]))

    def end(self) -> Outcome | None:
        """What it said when it ended."""
        self._process.wait(timeout=300)
        return outcome.read(self._log.read_text()) if self._log.exists() else None


def _weights(said: Outcome | None) -> bytes:
    assert said is not None
    assert said.outcome == "Succeeded", said
    assert said.artifact is not None
    return storage.read(storage.place_of(said.artifact.uri) / "model.safetensors")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, dataset: WeightedInput) -> Outcome:
    """What a run of two ranks, ZeRO-1, bf16, comes to when nothing disturbs it."""
    whole = _run(
        tmp_path_factory.mktemp("whole"), dataset, ranks=2, stage=1, precision=Precision.BF16
    )
    said = Pod(whole, "a1").end()
    assert said is not None
    return said


def test_a_run_in_a_bucket_that_is_killed_ends_with_the_same_bytes(
    tmp_path: Path, dataset: WeightedInput, expected: Outcome, bucket: str, pod: Path
) -> None:
    here = storage.place_of(dataset.uri)
    assert isinstance(here, Path)
    uri = storage.publish(here, storage.place_of(f"{bucket}/dataset")).uri
    run = _run(
        storage.place_of(f"{bucket}/out"),
        dataset.model_copy(update={"uri": uri}),
        ranks=2,
        stage=1,
        precision=Precision.BF16,
    )
    killed = Pod(run, "a1", tmp_path / "pod")
    killed.wait_for(lambda pod: len(pod.checkpoints()) > 0)
    killed.signal(signal.SIGKILL)
    assert killed.end() is None
    outcome = Pod(run, "a2", tmp_path / "pod").end()
    assert _weights(outcome) == _weights(expected)
    assert outcome is not None
    assert outcome.model == expected.model
    assert outcome.artifact is not None
    assert outcome.artifact.uri == f"{run.folder}/a2/artifact"
    assert outcome.artifact.digest == expected.artifact.digest if expected.artifact else None
    before, after = (
        [json.loads(line)["step"] for line in storage.read(place / history.HISTORY).splitlines()]
        for place in (storage.place_of(f"{run.folder}/{attempt}") for attempt in ("a1", "a2"))
    )
    assert before[0] == 1 < after[0]
    assert after == list(range(after[0], STEPS + 1))
    assert [path for path in pod.glob("cupola-*/*") if path.is_file()] == []


def test_one_rank_under_another_stage_goes_on_where_two_were(
    tmp_path: Path, dataset: WeightedInput
) -> None:
    """From two ranks, ZeRO-1, to one, ZeRO-3, in fp32: the same losses but for rounding."""
    two = _run(tmp_path / "two", dataset, ranks=2, stage=1, precision=Precision.FP32)
    pod = Pod(two, "a1")
    _weights(pod.end())
    first = pod.checkpoints()[0]

    one = _run(tmp_path / "one", dataset, ranks=1, stage=3, precision=Precision.FP32)
    place = storage.place_of(one.folder) / "a0/checkpoints" / first.name
    shutil.copytree(first, place)
    manifest = Manifest.model_validate_json((place / MANIFEST).read_bytes())
    manifest = manifest.model_copy(update={"run": one.digest})
    (place / MANIFEST).write_bytes(canonical(manifest.to_json()))
    _weights(Pod(one, "a1").end())

    expected, got = (
        {entry["step"]: entry["loss"] for entry in history.read(storage.place_of(run.folder))}
        for run in (two, one)
    )
    begin = int(first.name.removeprefix("step-"))
    assert list(got) == list(range(begin + 1, STEPS + 1))
    assert got == pytest.approx({step: expected[step] for step in got}, rel=1e-3)
    for step in range(begin + 1, begin + 11):  # later, rounding has grown
        assert got[step] == pytest.approx(expected[step], rel=1e-5)


def test_all_ranks_stop_at_one_step_when_one_of_them_is_asked(
    tmp_path: Path, dataset: WeightedInput
) -> None:
    run = _run(tmp_path, dataset, ranks=2, stage=1, precision=Precision.FP32)
    run = run.model_copy(update={"checkpoint_seconds": 1000})
    pod = Pod(run, "a1")
    pod.wait_for(lambda pod: pod.steps() > 0)
    pod.ranks()[1].terminate()
    said = pod.end()
    assert said is not None
    assert (said.outcome, said.reason) == ("Stopped", "Terminated")
    assert said.step is not None
    assert 0 < said.step < STEPS
    (saved,) = pod.checkpoints()
    assert saved.name == f"step-{said.step:07d}"
    verify(saved)
    assert len(list(saved.glob("rank-*.safetensors"))) == 2


def test_a_rank_that_is_killed_ends_the_others_and_is_not_a_stop(
    tmp_path: Path, dataset: WeightedInput
) -> None:
    run = _run(tmp_path, dataset, ranks=2, stage=1, precision=Precision.FP32)
    run = run.model_copy(update={"steps": 100_000})
    pod = Pod(run, "a1")
    pod.wait_for(lambda pod: pod.steps() > 0)
    pod.ranks()[0].kill()
    said = pod.end()
    assert said is not None
    assert (said.outcome, said.reason, said.failure) == ("Failed", "RankLost", "Infrastructure")
