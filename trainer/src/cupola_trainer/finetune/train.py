"""One training with TRL: from examples to the trained tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerFast, PrinterCallback
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from trl.kernels import chunked_logprob
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from cupola_api.outcome import FailureClass
from cupola_api.run import FineTuneRun
from cupola_trainer.distributed import Ranks
from cupola_trainer.finetune import settings
from cupola_trainer.finetune.examples import table
from cupola_trainer.finetune.order import order
from cupola_trainer.finetune.resume import Checkpoints
from cupola_trainer.finetune.watch import Watch
from cupola_trainer.likelihood import Scored
from cupola_trainer.pod import PodFailure

Tensors = dict[str, torch.Tensor]

CPU_LOGITS = 1 << 18
"""Logits that a CPU works on at a time: as many as fit its cache."""

CPU_EAGER = 512
"""Longest examples for which a CPU is faster with plain attention than with PyTorch's kernel."""


def train(
    run: FineTuneRun,
    base: tuple[PreTrainedModel, PreTrainedTokenizerFast],
    examples: list[Scored],
    *,
    ranks: Ranks,
    watch: Watch,
    checkpoints: Checkpoints,
    output: Path,
) -> Tensors:
    """Train the base on `examples`; returns the trained tensors by name, complete on rank 0.

    With LoRA those are the adapter's, by the names that PEFT gives them. The model is used up: it
    may be sharded or wrapped afterwards. Nothing is returned if `checkpoints` says that the training
    was stopped. Raises PodFailure for LoRA targets that it does not have.
    """
    model, tokenizer = base
    if settings.deepspeed(run):
        _meet(ranks)
    if ranks.device.type == "cpu":
        _suit_cpu(model, run)
    lora = settings.lora(run)
    try:
        trainer: Any = SFTTrainer(
            model=model,
            args=SFTConfig(**settings.arguments(run, len(examples), output)),
            train_dataset=table(examples),
            processing_class=tokenizer,
            callbacks=[watch],
            peft_config=LoraConfig(**lora) if lora else None,
        )
    except ValueError as error:
        if lora and "target" in str(error).lower():
            raise PodFailure(
                "LoraTargetUnknown", _unknown_targets(model, run), FailureClass.USER
            ) from error
        raise
    trainer.remove_callback(PrinterCallback)
    trainer.train_dataset = trainer.train_dataset.select(
        order(
            [len(example.ids) for example in examples],
            steps=settings.steps(run, len(examples)),
            per_step=run.examples_per_step,
            seed=run.hyperparameters.seed,
        )
    )
    checkpoints.attach(trainer)
    try:
        trainer.train()
        if checkpoints.stopped:
            return {}
        state: Tensors = trainer.accelerator.get_state_dict(trainer.model_wrapped) or {}
    finally:
        unset_hf_deepspeed_config()  # a model that is loaded later is not to be sharded
    return {name: tensor for name, tensor in state.items() if not lora or "lora_" in name}


def _suit_cpu(model: PreTrainedModel, run: FineTuneRun) -> None:
    """Twice the speed on a CPU, to the same sums (measured on AVX512-BF16)."""
    rows = max(16, CPU_LOGITS // model.config.vocab_size)
    vars(chunked_logprob)["TOKEN_CHUNK_SIZE"] = rows
    if run.max_length <= CPU_EAGER:
        model.set_attn_implementation("eager")


def _meet(ranks: Ranks) -> None:
    """Let DeepSpeed use the group that the ranks have met in."""
    import deepspeed  # noqa: PLC0415  seconds to import, and not always needed

    deepspeed.utils.logger.setLevel("WARNING")
    cpu = ranks.device.type == "cpu"
    if cpu:
        # It would compile an operator for ranks that share memory, for 41 s, to the same sums.
        vars(deepspeed.ops)["__compatible_ops__"] = {}
    deepspeed.init_distributed(dist_backend="gloo" if cpu else "nccl")


def _unknown_targets(model: PreTrainedModel, run: FineTuneRun) -> str:
    layers: Any = model.named_modules()
    known = {name.rsplit(".", 1)[-1] for name, m in layers if isinstance(m, torch.nn.Linear)}
    given = run.tuning.lora.targets if run.tuning.lora else []
    return (
        f"spec.tuning.lora.targets {', '.join(given)} cannot be adapted; choose from "
        f"{', '.join(sorted(known - {'lm_head'}))}"
    )
