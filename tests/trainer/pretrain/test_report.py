from __future__ import annotations

import os
import urllib.request
from pathlib import Path

import pytest

from cupola_api import metrics
from cupola_api.outcome import Resumed
from cupola_api.run import POD_IP, Hyperparameters, PretrainRun, Shape, World
from cupola_api.training import Optimizer, Precision
from cupola_trainer import history, timesheet
from cupola_trainer.checkpoint import Origin, State
from cupola_trainer.pretrain.report import Report

ADDRESS = f"127.84.{os.getpid() // 250 % 250}.{1 + os.getpid() % 250}"


def _run() -> PretrainRun:
    return PretrainRun(
        namespace="default",
        name="small",
        output="file:///nowhere",
        datasets=[],
        shape=Shape(
            layers=1,
            hidden=16,
            heads=2,
            kv_heads=2,
            ffn=16,
            vocabulary=32,
            context=64,
            tie_embeddings=True,
        ),
        steps=20,
        sequences_per_step=8,
        micro_batch=8,
        hyperparameters=Hyperparameters(
            optimizer=Optimizer(),
            learning_rate=1e-3,
            warmup_steps=0,
            final_ratio=0.1,
            weight_decay=0.1,
            gradient_clipping=1.0,
            precision=Precision.FP32,
            seed=0,
        ),
        world=World(nodes=1, gpus_per_node=1, threads=1, device="Cpu"),
        zero_stage=0,
        activation_checkpointing=False,
        checkpoint_seconds=1,
        checkpoint_keep=1,
    )


def _state(step: int) -> State:
    return State(step=step, samples=0, tokens=0, losses=[], ranks=1, zero_stage=0, shapes={})


def _scrape() -> dict[str, float]:
    url = f"http://{ADDRESS}:{metrics.PORT}/metrics"
    with urllib.request.urlopen(url, timeout=5) as page:
        lines = page.read().decode().splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}


def test_progress_is_served_recorded_and_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(POD_IP, ADDRESS)
    with Report(_run(), tmp_path / "a1", Origin(_state(4), 1_700_000_000, 2)) as report:
        served = _scrape()
        assert served[metrics.STEPS] == 20
        assert served[metrics.STEP] == served[metrics.CHECKPOINT_STEP] == 4
        assert served[metrics.PROGRESS] == 0.2
        assert (served[metrics.RESUMED_STEP], served[metrics.PASSED_OVER]) == (4, 2)
        assert served[metrics.RESUMED_TIME] == served[metrics.CHECKPOINT_TIME] == 1_700_000_000
        said = timesheet.said()
        assert said
        assert said.resumed == Resumed(step=4, saved_at=1_700_000_000, passed_over=2)
        report.step(5, loss=3.5, rate=1e-3, norm=0.7)
        report.saving()
        assert history.read(tmp_path)[0]["loss"] == 3.5
        report.saved(5)
        served = _scrape()
    assert served[metrics.LOSS] == 3.5
    assert served[metrics.TOKENS] == 5 * 8 * 64
    assert served[metrics.TOKENS_PER_SECOND] > 0
    assert served[metrics.CHECKPOINT_STEP] == 5
    assert served[metrics.CHECKPOINT_TIME] == pytest.approx(served[metrics.HEARTBEAT], abs=5)
    assert set(served) <= set(metrics.HELP)
    (entry,) = history.read(tmp_path)
    assert (entry["step"], entry["lr"], entry["grad_norm"], entry["tokens"]) == (5, 1e-3, 0.7, 2560)
    printed = capsys.readouterr().out
    assert "step 5/20  loss 3.5000" in printed
    assert "checkpoint of step 5 saved" in printed


def test_a_new_run_has_no_checkpoint_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POD_IP, ADDRESS)
    with Report(_run(), tmp_path / "a1", Origin()):
        served = _scrape()
    assert served[metrics.STEP] == served[metrics.RESUMED_STEP] == served[metrics.PASSED_OVER] == 0
    assert metrics.CHECKPOINT_STEP not in served


def test_lines_for_people_come_every_few_seconds_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(POD_IP, raising=False)
    with Report(_run(), tmp_path / "a1", Origin()) as report:
        for step in range(1, 21):
            report.step(step, loss=1.0, rate=1e-3, norm=1.0)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["1/20", "20/20"]
    assert len(history.read(tmp_path)) == 20
