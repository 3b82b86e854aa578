"""A trained model as an artifact: a Hugging Face folder with its tokenizer."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from transformers import GenerationConfig, PreTrainedTokenizerFast
from transformers.models.llama import LlamaForCausalLM

from cupola_api.artifact import seal, sync
from cupola_api.common import Artifact, Lineage
from cupola_api.run import Shape
from cupola_api.training import ModelSummary
from cupola_trainer import storage
from cupola_trainer.model import config_of
from cupola_trainer.storage import Place, S3Place

MAX_SHARD = "5GB"


def export(
    folder: Place,
    *,
    weights: dict[str, torch.Tensor],
    shape: Shape,
    tokenizer: Path,
    run: str,
    inputs: list[Lineage],
    summary: ModelSummary,
) -> Artifact:
    """Write and seal the artifact `folder` of kind Model; what lay there before is replaced.

    It is written beside `folder` and renamed last; for S3 below TMPDIR, where it needs as much room as
    it has bytes, and then put there. Nothing in it depends on time or place.
    """

    def make(place: Path) -> None:
        for file in tokenizer.iterdir():
            shutil.copyfile(file, place / file.name)
        _write_model(place, weights, shape)
        seal(place, kind="Model", run=run, inputs=inputs, facts=summary.to_json())

    if isinstance(folder, S3Place):
        with storage.workplace(folder) as draft:
            make(draft)
            return storage.publish(draft, folder)
    hidden = folder.with_name(f".{folder.name}")
    for old in (hidden, folder):
        if old.exists():
            shutil.rmtree(old)
    hidden.mkdir(parents=True)
    make(hidden)
    hidden.rename(folder)
    sync(folder.parent)
    return storage.publish(folder, folder)


def _write_model(folder: Path, weights: dict[str, torch.Tensor], shape: Shape) -> None:
    """config.json, generation_config.json and the weights, in shards of at most `MAX_SHARD`."""
    words = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    config = config_of(shape)
    config.eos_token_id = words.eos_token_id
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    torch.nn.Module.to(model, next(iter(weights.values())).dtype)
    model.generation_config = GenerationConfig(
        eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id
    )
    model.save_pretrained(folder, state_dict=dict(weights), max_shard_size=MAX_SHARD)
