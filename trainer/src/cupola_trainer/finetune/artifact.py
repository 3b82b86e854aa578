"""The base of a fine-tune, and the model that comes of it, as folders.

The artifact is built anew from the base and the trained tensors, whatever a training engine did to
the model it was given, and holds no path, no time and no name of a machine.

A plain model is a Hugging Face folder. An un-merged adapter is a PEFT folder with the base model,
to which `adapter_config.json` points, beside it in `base/`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from cupola_api.outcome import FailureClass
from cupola_api.run import FineTuneRun
from cupola_api.training import Precision
from cupola_trainer import generate
from cupola_trainer.failures import failure_of
from cupola_trainer.finetune import settings
from cupola_trainer.pod import PodFailure

TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
"""Files of a tokenizer; copied as they are, since its digest is that of its bytes."""


BASE = "base"
"""Folder of the plain model that an un-merged adapter changes."""


def load_base(folder: Path, run: FineTuneRun) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The base in fp32 on the CPU, an un-merged adapter added in. Raises PodFailure.

    It is rounded to the run's precision first, so that what an adapter is trained beside is what
    is saved beside it.
    """
    try:
        model, tokenizer = generate.load(folder)
    except (OSError, ValueError) as error:
        raise failure_of(error) or PodFailure(
            "ModelUnreadable",
            f"the model of {run.base.kind} {run.base.name} cannot be loaded: {error}"[:400],
            FailureClass.DATA,
        ) from error
    torch.nn.Module.to(model, _dtype(run)).float()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def save(
    place: Path, base: Path, run: FineTuneRun, trained: dict[str, torch.Tensor]
) -> tuple[int, int]:
    """Write the tuned model to the empty folder `place`; returns its parameters, all and trained."""
    place.mkdir(parents=True)
    model, _ = load_base(base, run)
    count = model.num_parameters()
    lora = settings.lora(run)
    if lora is None:
        _put(model, trained)
        _save_plain(model, place, run)
        changed = count
    else:
        adapted = get_peft_model(model, LoraConfig(**lora))
        _put(adapted, trained)
        changed = adapted.get_nb_trainable_parameters()[0]
        if run.tuning.lora and run.tuning.lora.merge:
            merged = adapted.merge_and_unload(safe_merge=True)
            _save_plain(cast("PreTrainedModel", merged), place, run)
        else:
            _save_adapter(adapted, place)
            _save_plain(cast("PreTrainedModel", adapted.unload()), place / BASE, run)
    for name in TOKENIZER:
        if (base / name).exists():
            shutil.copyfile(base / name, place / name)
    return count, changed


def _dtype(run: FineTuneRun) -> torch.dtype:
    bf16 = run.hyperparameters.precision is Precision.BF16
    return torch.bfloat16 if bf16 else torch.float32


def _put(model: torch.nn.Module, trained: dict[str, torch.Tensor]) -> None:
    """Put trained tensors in a model; tied tensors may come under one name only."""
    shared = {id(weight): name for name, weight in model.named_parameters()}
    missing, unknown = model.load_state_dict(trained, strict=False)
    absent = [name for name in missing if name in shared.values() and _trains(name, trained)]
    if unknown or absent:
        names = ", ".join([*unknown, *absent][:3])
        raise RuntimeError(f"the trained tensors are not those of the base model: {names}")


def _trains(name: str, trained: dict[str, torch.Tensor]) -> bool:
    """Whether a parameter should be among the trained ones: LoRA trains its own alone."""
    return "lora_" in name or not any("lora_" in other for other in trained)


def _save_plain(model: PreTrainedModel, place: Path, run: FineTuneRun) -> None:
    torch.nn.Module.to(model, _dtype(run))
    model.save_pretrained(place)


def _save_adapter(model: PeftModel, place: Path) -> None:
    model.save_pretrained(str(place), save_embedding_layers=False)
    (place / "README.md").unlink(missing_ok=True)  # a template of a model card
    path = place / generate.ADAPTER
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = BASE
    # Sets of names come in any order.
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
