"""A tuning that is stopped and goes on from its checkpoint ends as one that was not disturbed.

Checkpoints are compared by digest: master weights, both moments, tokens and losses, to the bit.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest

from cupola_api import metrics
from cupola_api.finetune import LoraTuning, Tuning
from cupola_api.outcome import OutcomeKind, Resumed
from cupola_api.run import FineTuneRun, World, dump
from cupola_api.training import Precision
from cupola_trainer import timesheet
from cupola_trainer.finetune.order import order
from cupola_trainer.meter import Meter
from cupola_trainer.storage import place_of

SCRIPT = Path(__file__).with_name("stops.py")

LORA = LoraTuning(rank=2, alpha=4, merge=False)
DROPOUT = LORA.model_copy(update={"dropout": 0.3})


def _load() -> ModuleType:
    found = importlib.util.spec_from_file_location("stops", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


stops = _load()


def with_changes(
    run: FineTuneRun,
    *,
    lora: LoraTuning | None = None,
    precision: Precision = Precision.FP32,
    **changes: Any,
) -> FineTuneRun:
    chosen = run.hyperparameters.model_copy(update={"precision": precision, "weight_decay": 0.1})
    tuning = Tuning(lora=lora) if lora else run.tuning
    update = {"tuning": tuning, "hyperparameters": chosen, "epochs": 1.6, **changes}
    return run.model_copy(update=update)


def compare(undisturbed: dict[str, Any], stopped: dict[str, Any]) -> None:
    assert len(undisturbed["checkpoints"]) == 7  # of 8 steps
    assert len(undisturbed["model"]) == 1
    assert stopped == undisturbed


@pytest.mark.filterwarnings("ignore:.* is deprecated:FutureWarning")  # PEFT to Transformers
@pytest.mark.parametrize(
    ("lora", "precision"),
    [
        (None, Precision.FP32),
        (None, Precision.BF16),
        (LORA, Precision.FP32),
        (DROPOUT, Precision.BF16),
    ],
    ids=["full-FP32", "full-BF16", "LoRA", "dropout"],
)
def test_one_rank_goes_on_as_if_it_had_not_been_stopped(
    run: FineTuneRun, tmp_path: Path, lora: LoraTuning | None, precision: Precision
) -> None:
    compare(*stops.both(with_changes(run, lora=lora, precision=precision), tmp_path))


LAYOUTS: dict[str, dict[str, Any]] = {
    f"ZeRO-{stage}-{precision.value}-{'LoRA' if lora else 'full'}": {
        "zero_stage": stage,
        "precision": precision,
        "lora": lora,
    }
    for stage, precision, lora in (
        (0, Precision.FP32, DROPOUT),
        (1, Precision.BF16, None),
        (3, Precision.BF16, DROPOUT),
    )
}


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory, run_of: Any) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("stops")
    world = World(nodes=1, gpus_per_node=2, threads=1, device="Cpu")
    runs = {
        name: dump(with_changes(run_of(folder), world=world, **layout))
        for name, layout in LAYOUTS.items()
    }
    (folder / "runs.json").write_text(json.dumps(runs))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(SCRIPT), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


@pytest.mark.local
@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_ranks_go_on_as_if_they_had_not_been_stopped(
    results: dict[str, Any], layout: str
) -> None:
    compare(*results[layout])


def test_a_damaged_checkpoint_is_passed_over_and_the_world_is_told(
    run: FineTuneRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stops.saving_always(run, tmp_path)
    stops.finetune(run, "a1", asked=3)
    place = place_of(run.folder)
    (newest,) = place.glob("a1/checkpoints/step-0000004/rank-*")
    newest.write_bytes(newest.read_bytes()[:-1])
    served: list[dict[str, float]] = []
    with patch.object(Meter, "set", lambda _, values: served.append(dict(values))):
        assert stops.finetune(run, "a2").outcome is OutcomeKind.SUCCEEDED
    printed = capsys.readouterr().out
    assert "warning: checkpoint a1/checkpoints/step-0000004 is passed over: " in printed
    assert "going on from a1/checkpoints/step-0000003" in printed
    first, said = served[0], timesheet.said()
    assert said
    assert said.resumed == Resumed(
        step=3, saved_at=round(first[metrics.RESUMED_TIME], 3), passed_over=1
    )
    assert (first[metrics.RESUMED_STEP], first[metrics.PASSED_OVER]) == (3, 1)
    assert first[metrics.STEP] == first[metrics.CHECKPOINT_STEP] == 3
    assert first[metrics.RESUMED_TIME] == first[metrics.CHECKPOINT_TIME] > 0
    assert first[metrics.PROGRESS] == 3 / 15
    saved = [
        values[metrics.CHECKPOINT_STEP]
        for values in served[1:]
        if {metrics.CHECKPOINT_STEP, metrics.CHECKPOINT_TIME} <= set(values)
    ]
    assert saved == list(range(4, 15))
    assert json.loads((place / "a2/history.jsonl").read_text().splitlines()[0])["step"] == 4


def test_a_checkpoint_is_made_each_period_and_the_newest_are_kept(
    run: FineTuneRun, tmp_path: Path
) -> None:
    """Of the 15 steps none is long enough for a second one within an hour."""
    often = stops.saving_always(run, tmp_path).model_copy(update={"checkpoint_keep": 2})
    seldom = often.model_copy(update={"checkpoint_seconds": 3600})
    for one, steps in ((often, [13, 14]), (seldom, [])):
        stops.finetune(one, "a1")
        found = sorted(place_of(one.folder).glob("*/checkpoints/*"))
        assert [path.name for path in found] == [f"step-{step:07d}" for step in steps]


def test_a_training_that_is_asked_in_its_last_step_ends_well(run: FineTuneRun) -> None:
    outcome = stops.finetune(run, "a1", asked=14)
    assert outcome.outcome is OutcomeKind.SUCCEEDED
    assert not list(place_of(run.folder).glob("*/checkpoints/*"))


def test_every_example_is_used_once_before_any_is_used_again() -> None:
    lengths = [(7 * number) % 31 + 1 for number in range(500)]
    found = order(lengths, steps=90, per_step=8, seed=3)
    assert len(found) == 720
    assert sorted(found[:500]) == list(range(500))
    assert len(set(found[500:])) == 220
    assert found[500:] != found[:220]
    assert lengths[found[0]] == max(lengths)
    assert found == order(lengths, steps=90, per_step=8, seed=3)
    assert found != order(lengths, steps=90, per_step=8, seed=4)
    batches = [[lengths[n] for n in found[at : at + 8]] for at in range(0, 720, 8)]
    padding = sum(max(batch) * 8 - sum(batch) for batch in batches)
    assert padding < sum(map(sum, batches)) / 10
