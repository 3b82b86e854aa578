"""From a run to the settings of TRL, PEFT and DeepSpeed. Pure."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from cupola_api.outcome import FailureClass
from cupola_api.run import FineTuneRun
from cupola_api.training import Precision
from cupola_trainer.pod import PodFailure


def accumulation(run: FineTuneRun) -> int:
    """Micro-batches that a rank adds up in a step. Raises PodFailure if the batch does not divide."""
    at_once = run.micro_batch * run.world.size
    if run.examples_per_step % at_once:
        raise PodFailure(
            "BatchIndivisible",
            f"a step of {run.examples_per_step} examples cannot be shared by {run.world.size} ranks "
            f"in micro-batches of {run.micro_batch}; set spec.examplesPerStep to a multiple of "
            f"{at_once}",
            FailureClass.USER,
        )
    return run.examples_per_step // at_once


def steps(run: FineTuneRun, examples: int) -> int:
    """Optimizer steps of a run on that many examples: one at least."""
    return max(1, round(run.epochs * examples / run.examples_per_step))


def arguments(run: FineTuneRun, examples: int, output: Path) -> dict[str, Any]:
    """Arguments of TRL's SFTConfig. `output` is a folder that TRL is given and does not write in.

    Examples are taken in the order that they come in. TRL's checkpoints are pickles and are not
    made.
    """
    chosen = run.hyperparameters
    cpu = run.world.device == "Cpu"
    count = steps(run, examples)
    return {
        "output_dir": str(output),
        "max_steps": count,
        "per_device_train_batch_size": run.micro_batch,
        "gradient_accumulation_steps": accumulation(run),
        "train_sampling_strategy": "sequential",
        "completion_only_loss": True,
        "max_length": None,
        "optim": "adamw_torch",
        "learning_rate": chosen.learning_rate,
        "lr_scheduler_type": "cosine_with_min_lr",
        "lr_scheduler_kwargs": {"min_lr_rate": chosen.final_ratio},
        "warmup_steps": round(run.warmup_ratio * count),
        "weight_decay": chosen.weight_decay,
        "adam_beta1": chosen.optimizer.beta1,
        "adam_beta2": chosen.optimizer.beta2,
        "adam_epsilon": chosen.optimizer.epsilon,
        "max_grad_norm": chosen.gradient_clipping,
        "bf16": chosen.precision is Precision.BF16,
        "seed": chosen.seed,
        "use_cpu": cpu,
        "ddp_backend": ("gloo" if cpu else "nccl") if "RANK" in os.environ else None,
        "activation_checkpointing": run.activation_checkpointing,
        "deepspeed": deepspeed(run),
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": [],
        "save_strategy": "no",
        "push_to_hub": False,
    }


def deepspeed(run: FineTuneRun) -> dict[str, Any] | None:
    """DeepSpeed's configuration, or None where there is nothing to shard: plain data parallelism."""
    if run.zero_stage == 0 or run.world.size == 1:
        return None
    bf16 = run.hyperparameters.precision is Precision.BF16
    value: dict[str, Any] = {
        "train_batch_size": run.examples_per_step,
        "train_micro_batch_size_per_gpu": run.micro_batch,
        "gradient_accumulation_steps": accumulation(run),
        "gradient_clipping": run.hyperparameters.gradient_clipping,
        "zero_optimization": {
            "stage": run.zero_stage,
            "stage3_gather_16bit_weights_on_model_save": run.zero_stage == 3,
        },
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": bf16},
        "communication_data_type": "fp32",
        "steps_per_print": sys.maxsize,
    }
    if bf16:
        value["data_types"] = {"grad_accum_dtype": "fp32"}
    return value


def lora(run: FineTuneRun) -> dict[str, Any] | None:
    """Arguments of PEFT's LoraConfig, or None for full tuning."""
    tuning = run.tuning.lora
    if tuning is None:
        return None
    return {
        "task_type": "CAUSAL_LM",
        "r": tuning.rank,
        "lora_alpha": tuning.alpha,
        "lora_dropout": tuning.dropout,
        "target_modules": tuning.targets or "all-linear",
    }
