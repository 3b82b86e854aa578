"""Whole pretraining runs whose Dataset, checkpoints and model lie in a real bucket."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cupola_api.outcome import FailureClass, Outcome
from cupola_api.run import PretrainRun
from cupola_trainer import generate, storage
from cupola_trainer.failures import failure_of
from cupola_trainer.pod import PodFailure
from cupola_trainer.pretrain.loop import Loop
from cupola_trainer.storage import place_of, s3, scratch

# DeepSpeed uses what PyTorch is about to drop.
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.distributed:FutureWarning", "ignore:`torch.jit:DeprecationWarning"
)

Tiny = Callable[..., PretrainRun]
Train = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _restore_torch() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=False)


@pytest.fixture
def in_bucket(bucket: str) -> Callable[[PretrainRun], PretrainRun]:
    """The same run, with its Dataset and its output in the bucket."""

    def moved(run: PretrainRun) -> PretrainRun:
        (source,) = run.datasets
        here = place_of(source.uri)
        assert isinstance(here, Path)
        artifact = storage.publish(here, place_of(f"{bucket}/dataset"))
        datasets = [source.model_copy(update={"uri": artifact.uri})]
        return run.model_copy(update={"output": f"{bucket}/out", "datasets": datasets})

    return moved


def _stop_in(patch: pytest.MonkeyPatch, step: int) -> None:
    real = Loop._step

    def asked(loop: Loop) -> Any:
        if loop.step + 1 == step:
            signal.raise_signal(signal.SIGTERM)
        return real(loop)

    patch.setattr(Loop, "_step", asked)


def test_a_run_that_is_stopped_and_damaged_comes_to_the_model_of_a_disk(
    tiny: Tiny, train: Train, in_bucket: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tiny(checkpoint_seconds=0)
    expected = train(here).artifact
    assert expected is not None
    run = in_bucket(here)
    assert run.digest == here.digest
    folder = place_of(run.folder)
    with pytest.MonkeyPatch.context() as patch:
        _stop_in(patch, 7)
        assert train(run, "a1").step == 7
    assert [one.name for one in storage.entries(folder / "a1/checkpoints")] == [
        "step-0000006",
        "step-0000007",
    ]
    s3.write(folder / "a1/checkpoints/step-0000007/rank-00000.safetensors", b"broken")
    outcome = train(run, "a2")
    said = capsys.readouterr().out
    assert "checkpoint a1/checkpoints/step-0000007 is passed over: s3://" in said
    assert "going on from a1/checkpoints/step-0000006" in said
    assert outcome.artifact is not None
    assert outcome.artifact == expected.model_copy(update={"uri": f"{run.folder}/a2/artifact"})
    steps = {
        attempt: [
            json.loads(line)["step"]
            for line in storage.read(folder / attempt / "history.jsonl").splitlines()
        ]
        for attempt in ("a1", "a2")
    }
    assert steps == {"a1": [*range(1, 8)], "a2": [*range(7, 13)]}
    assert not list(s3.below(folder / "a1/checkpoints"))
    assert train(run, "a3") == outcome
    assert not list(s3.below(folder / "a3"))
    # What was brought in is the Dataset alone: nothing of a checkpoint is left.
    assert [path.name for path in scratch.root().rglob("*.safetensors")] == []


def test_a_damaged_dataset_is_not_trained_on(tiny: Tiny, train: Train, in_bucket: Any) -> None:
    run = in_bucket(tiny())
    s3.write(place_of(f"{run.datasets[0].uri}/train/00000.tokens"), b"broken")
    with pytest.raises(PodFailure, match=r"s3://.*/train/00000.tokens has 6 bytes") as caught:
        train(run)
    assert (caught.value.reason, caught.value.failure) == ("InputInvalid", FailureClass.DATA)


@pytest.mark.usefixtures("new_connection")
def test_a_store_that_goes_away_in_mid_run_is_tried_again_later(
    tiny: Tiny, train: Train, in_bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    run = in_bucket(tiny(checkpoint_seconds=0))
    real = Loop._step

    def cut_off(loop: Loop) -> Any:
        if loop.step == 3:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
            s3._manager.cache_clear()
            s3.client.cache_clear()
        return real(loop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "_step", cut_off)
        with pytest.raises(OSError, match=r"127\.0\.0\.1:9 does not answer") as caught:
            train(run)
    said = failure_of(caught.value)
    assert said is not None
    assert said.failure is FailureClass.INFRASTRUCTURE
    assert said.message.startswith(f"{run.folder}/a1/")


def test_a_model_in_a_bucket_answers(
    tiny: Tiny, train: Train, in_bucket: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = train(in_bucket(tiny(steps=1))).artifact
    assert artifact is not None
    capsys.readouterr()
    assert generate.main(["--model", artifact.uri, "--max-new-tokens", "2", "abc"]) == 0
    assert generate.main(["--model", f"{artifact.uri}-2", "abc"]) == 2
    assert f"{artifact.uri}-2/manifest.json cannot be read" in capsys.readouterr().err
