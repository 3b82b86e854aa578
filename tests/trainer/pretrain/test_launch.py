"""Pretraining under torchrun with two ranks, killed and stopped on the way."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from cupola_api import outcome
from cupola_api.artifact import MANIFEST, Manifest, canonical, seal
from cupola_api.outcome import Outcome
from cupola_api.run import (
    ATTEMPT,
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
from cupola_trainer.shards import END_TOKEN, PAD_TOKEN, SPECIAL_TOKENS, write_shard

pytestmark = [pytest.mark.local, pytest.mark.timeout(600)]

VOCABULARY = 300
CONTEXT = 32
STEPS = 120


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> WeightedInput:
    folder = tmp_path_factory.mktemp("dataset")
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefg", k=chance.randint(2, 6))) for _ in range(40)]
    texts = [" ".join(chance.choices(words, range(40), k=60)) for _ in range(60)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    documents = [[*tokenizer.encode(text).ids, 0] for text in texts]
    write_shard(folder / "train", 0, documents[10:], VOCABULARY)
    write_shard(folder / "validation", 0, documents[:10], VOCABULARY)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END_TOKEN, pad_token=PAD_TOKEN
    ).save_pretrained(folder / "tokenizer")
    facts = {"vocabulary": VOCABULARY, "tokenizerDigest": "sha256:" + "a" * 64}
    artifact = seal(folder, kind="Dataset", run="sha256:" + "0" * 64, facts=facts)
    return WeightedInput(
        kind="Dataset", name="words", uri=artifact.uri, digest=artifact.digest, weight=1.0
    )


def _run(
    output: Path, dataset: WeightedInput, *, ranks: int, stage: int, precision: Precision
) -> PretrainRun:
    return PretrainRun(
        namespace="default",
        name="tiny",
        output=output.as_uri(),
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

    def __init__(self, run: PretrainRun, attempt: str) -> None:
        output = storage.path_of(run.output)
        output.mkdir(exist_ok=True)
        self.attempt = storage.path_of(run.folder) / attempt
        self._log = output / f"{attempt}.termination"
        path = output / "run.yaml"
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
        return len(path.read_text().splitlines()) if path.exists() else 0

    def checkpoints(self) -> list[Path]:
        """Its complete checkpoints, oldest first."""
        return sorted(self.attempt.glob("checkpoints/step-*"))

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

    def end(self) -> Outcome | None:
        """What it said when it ended."""
        self._process.wait(timeout=300)
        return outcome.read(self._log.read_text()) if self._log.exists() else None


def _weights(said: Outcome | None) -> bytes:
    assert said is not None
    assert said.outcome == "Succeeded", said
    assert said.artifact is not None
    return (storage.path_of(said.artifact.uri) / "model.safetensors").read_bytes()


def test_a_run_killed_and_stopped_on_its_way_ends_with_the_same_bytes(
    tmp_path: Path, dataset: WeightedInput
) -> None:
    """Two ranks, ZeRO-1, bf16. Checkpoints come by time, so the runs save at different steps."""
    whole, cut = (
        _run(tmp_path / name, dataset, ranks=2, stage=1, precision=Precision.BF16)
        for name in ("whole", "cut")
    )
    assert whole.digest == cut.digest
    expected = Pod(whole, "a1").end()

    killed = Pod(cut, "a1")
    killed.wait_for(lambda pod: len(pod.checkpoints()) > 0)
    killed.signal(signal.SIGKILL)
    assert killed.end() is None

    stopped = Pod(cut, "a2")
    stopped.wait_for(lambda pod: pod.steps() > 0)
    stopped.signal(signal.SIGTERM)
    said = stopped.end()
    assert said is not None
    assert (said.outcome, said.reason) == ("Stopped", "Terminated")
    assert said.step is not None
    assert 0 < said.step < STEPS
    assert stopped.checkpoints()[-1].name == f"step-{said.step:07d}"

    outcome = Pod(cut, "a3").end()
    assert _weights(outcome) == _weights(expected)
    assert outcome is not None
    assert expected is not None
    assert outcome.model == expected.model
    entries = history.read(storage.path_of(cut.folder))
    assert [entry["step"] for entry in entries] == list(range(1, STEPS + 1))


def test_one_rank_under_another_stage_goes_on_where_two_were(
    tmp_path: Path, dataset: WeightedInput
) -> None:
    """From two ranks, ZeRO-1, to one, ZeRO-3, in fp32: the same losses but for rounding."""
    two = _run(tmp_path / "two", dataset, ranks=2, stage=1, precision=Precision.FP32)
    pod = Pod(two, "a1")
    _weights(pod.end())
    first = pod.checkpoints()[0]

    one = _run(tmp_path / "one", dataset, ranks=1, stage=3, precision=Precision.FP32)
    place = storage.path_of(one.folder) / "a0/checkpoints" / first.name
    shutil.copytree(first, place)
    manifest = Manifest.model_validate_json((place / MANIFEST).read_bytes())
    manifest = manifest.model_copy(update={"run": one.digest})
    (place / MANIFEST).write_bytes(canonical(manifest.to_json()))
    _weights(Pod(one, "a1").end())

    expected, got = (
        {entry["step"]: entry["loss"] for entry in history.read(storage.path_of(run.folder))}
        for run in (two, one)
    )
    begin = int(first.name.removeprefix("step-"))
    assert list(got) == list(range(begin + 1, STEPS + 1))
    assert got == pytest.approx({step: expected[step] for step in got}, rel=1e-3)
    for step in range(begin + 1, begin + 11):  # later, rounding has grown
        assert got[step] == pytest.approx(expected[step], rel=1e-5)
