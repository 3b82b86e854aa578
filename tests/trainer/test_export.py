from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from cupola_api.artifact import verify
from cupola_api.common import Lineage
from cupola_api.run import Shape
from cupola_api.training import ModelSummary
from cupola_trainer import export, storage
from cupola_trainer.model import build
from cupola_trainer.shards import END_TOKEN, PAD_TOKEN

RUN = "sha256:" + "1" * 64
SHAPE = Shape(
    layers=2,
    hidden=32,
    heads=4,
    kv_heads=2,
    ffn=64,
    vocabulary=300,
    context=48,
    tie_embeddings=True,
)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    words = Tokenizer(models.WordLevel({END_TOKEN: 0, PAD_TOKEN: 1, "a": 2}, unk_token="a"))
    PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token=END_TOKEN, pad_token=PAD_TOKEN
    ).save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def _export(
    folder: Path, tokenizer: Path, *, tied: bool = True, dtype: torch.dtype = torch.float32
) -> dict[str, torch.Tensor]:
    shape = SHAPE.model_copy(update={"tie_embeddings": tied})
    weights = {
        name: weight.detach().to(dtype) for name, weight in build(shape, 0).named_parameters()
    }
    artifact = export.export(
        folder,
        weights=weights,
        shape=shape,
        tokenizer=tokenizer,
        run=RUN,
        inputs=[Lineage(kind="Dataset", name="d", digest=RUN)],
        summary=ModelSummary(parameters=1, steps=3),
    )
    assert artifact.uri == folder.as_uri()
    return weights


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_was_trained_is_what_is_loaded(
    tied: bool,
    dtype: torch.dtype,
    tmp_path: Path,
    tokenizer: Path,
) -> None:
    weights = _export(tmp_path / "artifact", tokenizer, tied=tied, dtype=dtype)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "artifact", dtype="auto")
    loaded = dict(model.named_parameters())
    assert loaded.keys() == weights.keys()
    for name, weight in weights.items():
        assert loaded[name].dtype is dtype
        assert torch.equal(loaded[name], weight), name
    assert model.config.max_position_embeddings == 48
    assert model.config.eos_token_id == 0


def test_large_models_are_cut_into_shards(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_SHARD", "50KB")
    weights = _export(tmp_path / "artifact", tokenizer)
    manifest, _ = verify(tmp_path / "artifact")
    names = [file.path for file in manifest.files]
    assert "model.safetensors.index.json" in names
    assert sum(name.endswith(".safetensors") for name in names) > 1
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "artifact")
    assert all(torch.equal(model.get_parameter(name), weights[name]) for name in weights)


def test_exporting_again_replaces_what_a_crash_left(tmp_path: Path, tokenizer: Path) -> None:
    _export(tmp_path / "first", tokenizer)
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact/rubbish").write_text("left")
    (tmp_path / ".artifact").mkdir()
    (tmp_path / ".artifact/rubbish").write_text("left")
    _export(tmp_path / "artifact", tokenizer)
    assert verify(tmp_path / "artifact")[1].digest == verify(tmp_path / "first")[1].digest
    assert not (tmp_path / "artifact/rubbish").exists()
    assert not (tmp_path / ".artifact").exists()


class Killed(BaseException):
    """The process is no more."""


def _killed_at(nth: int, patch: pytest.MonkeyPatch) -> None:
    """Raise Killed before the `nth` operation on files, or amid the writing of the weights."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if done == nth:
            raise Killed

    def counted(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def step_first(*arguments: Any, **options: Any) -> Any:
            step()
            return real(*arguments, **options)

        patch.setattr(owner, name, step_first)

    for owner, name in (
        *((Path, name) for name in ("rename", "replace", "mkdir")),
        *((shutil, name) for name in ("rmtree", "copyfile")),
        (os, "fsync"),
        (export, "_write_model"),
    ):
        counted(owner, name)
    write = export._write_model

    def write_half(folder: Path, *arguments: Any) -> None:
        write(folder, *arguments)
        weights = folder / "model.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-100])
        step()
        weights.write_bytes(whole)

    patch.setattr(export, "_write_model", write_half)


@pytest.mark.parametrize("there", ["nothing", "a damaged model"])
def test_an_export_that_is_killed_leaves_no_model_or_the_right_one(
    tmp_path: Path, tokenizer: Path, there: str
) -> None:
    _export(tmp_path / "whole", tokenizer)
    whole = verify(tmp_path / "whole")[1].digest
    for nth in count(1):
        place = tmp_path / f"run-{nth}" / "artifact"
        if there == "a damaged model":
            shutil.copytree(tmp_path / "whole", place)
            (place / "model.safetensors").write_bytes(b"")
        try:
            with pytest.MonkeyPatch.context() as patch:
                _killed_at(nth, patch)
                _export(place, tokenizer)
        except Killed:
            found = storage.finished(place, RUN)
            assert found is None or found.digest == whole
        else:
            break
        _export(place, tokenizer)
        assert verify(place)[1].digest == whole
        assert [path.name for path in place.parent.iterdir()] == ["artifact"]
    assert nth > 12


def test_all_of_a_model_is_on_the_disk_before_it_is_in_sight(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: set[str] = set()
    fsync, rename = os.fsync, Path.rename
    shown: list[set[str]] = []

    def note_fsync(file: int) -> None:
        flushed.add(Path(f"/proc/self/fd/{file}").readlink().name)
        fsync(file)

    def note_rename(self: Path, target: Path) -> Path:
        shown.append({path.name for path in self.iterdir()} - flushed)
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "rename", note_rename)
    _export(tmp_path / "artifact", tokenizer)
    # The manifest is flushed under a temporary name.
    assert shown == [{"manifest.json"}]
    assert any(name.startswith(".manifest.json.") for name in flushed)
