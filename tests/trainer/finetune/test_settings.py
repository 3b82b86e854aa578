from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cupola_api.finetune import FullTuning, LoraTuning, Tuning
from cupola_api.run import FineTuneRun, World
from cupola_api.training import Precision
from cupola_trainer.finetune import settings
from cupola_trainer.pod import PodFailure


def world(ranks: int) -> World:
    return World(nodes=1, gpus_per_node=ranks, threads=1, device="Cpu")


def changed(run: FineTuneRun, **changes: Any) -> FineTuneRun:
    return run.model_copy(update=changes)


@pytest.mark.parametrize(
    ("ranks", "examples", "micro", "expected"), [(1, 32, 32, 1), (2, 32, 4, 4), (4, 32, 8, 1)]
)
def test_a_step_is_shared_evenly(
    run: FineTuneRun, ranks: int, examples: int, micro: int, expected: int
) -> None:
    run = changed(run, world=world(ranks), examples_per_step=examples, micro_batch=micro)
    assert settings.accumulation(run) == expected


def test_a_step_that_cannot_be_shared_is_refused_with_a_number_that_can(run: FineTuneRun) -> None:
    run = changed(run, world=world(2), examples_per_step=30, micro_batch=4)
    with pytest.raises(PodFailure, match="multiple of 8") as failure:
        settings.accumulation(run)
    assert failure.value.reason == "BatchIndivisible"


@pytest.mark.parametrize(
    ("epochs", "examples", "expected"), [(1, 80, 10), (2.5, 80, 25), (1, 83, 10), (0.01, 3, 1)]
)
def test_steps_follow_from_epochs(
    run: FineTuneRun, epochs: float, examples: int, expected: int
) -> None:
    assert settings.steps(changed(run, epochs=epochs), examples) == expected


def test_one_rank_or_stage_0_has_nothing_to_shard(run: FineTuneRun) -> None:
    assert settings.deepspeed(changed(run, world=world(1), zero_stage=3)) is None
    assert settings.deepspeed(changed(run, world=world(2), zero_stage=0)) is None


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_more_ranks_shard_as_the_run_says(run: FineTuneRun, stage: int) -> None:
    config = settings.deepspeed(changed(run, world=world(2), zero_stage=stage))
    assert config is not None
    assert config["zero_optimization"]["stage"] == stage
    assert config["train_batch_size"] == (
        config["train_micro_batch_size_per_gpu"] * config["gradient_accumulation_steps"] * 2
    )


def test_bf16_sums_gradients_in_fp32(run: FineTuneRun) -> None:
    precise = run.hyperparameters.model_copy(update={"precision": Precision.BF16})
    config = settings.deepspeed(changed(run, world=world(2), hyperparameters=precise))
    assert config is not None
    assert config["bf16"] == {"enabled": True}
    assert config["data_types"] == {"grad_accum_dtype": "fp32"}


def test_nothing_is_saved_by_the_library_or_sent_anywhere(run: FineTuneRun) -> None:
    arguments = settings.arguments(run, 40, Path("x"))
    assert arguments["save_strategy"] == "no"
    assert arguments["report_to"] == []
    assert arguments["push_to_hub"] is False


def test_the_schedule_is_the_runs(run: FineTuneRun) -> None:
    arguments = settings.arguments(changed(run, epochs=10), 80, Path("x"))
    assert arguments["max_steps"] == 100
    assert arguments["warmup_steps"] == 10
    assert arguments["lr_scheduler_kwargs"] == {"min_lr_rate": 0.1}


def test_adapters_go_to_all_linear_layers_unless_they_are_named(run: FineTuneRun) -> None:
    assert settings.lora(changed(run, tuning=Tuning(full=FullTuning()))) is None
    everywhere = settings.lora(changed(run, tuning=Tuning(lora=LoraTuning())))
    named = settings.lora(changed(run, tuning=Tuning(lora=LoraTuning(targets=["q_proj"]))))
    assert everywhere is not None
    assert named is not None
    assert everywhere["target_modules"] == "all-linear"
    assert named["target_modules"] == ["q_proj"]
