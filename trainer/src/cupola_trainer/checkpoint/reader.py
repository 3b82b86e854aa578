"""Read any stretch of any parameter from a checkpoint, whatever layout wrote it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from cupola_api.artifact import MANIFEST, ArtifactInvalid, read_manifest
from cupola_trainer import hang
from cupola_trainer.checkpoint.fragments import key, parse_key, pieces
from cupola_trainer.checkpoint.writer import STATE, State


class CheckpointInvalid(Exception):
    """A checkpoint does not hold what it should; the message says what."""


class Checkpoint:
    """A checkpoint, opened: its state, and its tensors on demand."""

    def __init__(self, folder: Path) -> None:
        """Open files and read their headers. Raises CheckpointInvalid."""
        self.folder = folder
        self.saved_at = 0.0
        """When it was complete, Unix time by the clock of its storage."""
        self._stored: dict[tuple[str, str], dict[int, tuple[int, safe_open]]] = defaultdict(dict)
        try:
            self.saved_at = (folder / MANIFEST).stat().st_mtime
            self.state = State.model_validate_json((folder / STATE).read_bytes())
            for entry in read_manifest(folder)[0].files:
                if not entry.path.endswith(".safetensors"):
                    continue
                file = safe_open(folder / entry.path, framework="pt", device="cpu")
                for text in file.keys():  # noqa: SIM118  not a mapping
                    quantity, name, start = parse_key(text)
                    length = file.get_slice(text).get_shape()[0]
                    self._stored[quantity, name][start] = (length, file)
        except (ArtifactInvalid, OSError, ValueError, SafetensorError) as error:
            raise CheckpointInvalid(f"{folder} cannot be read: {error}") from error

    def read(self, quantity: str, name: str, start: int, length: int) -> torch.Tensor:
        """A stretch of a flattened parameter or moment, fp32. Raises CheckpointInvalid."""
        stored = self._stored.get((quantity, name), {})
        parts = pieces([(at, size) for at, (size, _) in stored.items()], start, length)
        if parts is None:
            raise CheckpointInvalid(
                f"{self.folder} lacks a part of {quantity} of {name} from {start}, {length} long"
            )
        values = [
            stored[part.at][1].get_slice(key(quantity, name, part.at))[part.begin : part.end]
            for part in parts
        ]
        hang.progress()  # mapped into memory, so that no reading shows
        return values[0] if len(values) == 1 else torch.cat(values)

    def weight(self, name: str) -> torch.Tensor:
        """A whole master weight, fp32, in its shape. Raises CheckpointInvalid."""
        shape = self.state.shapes.get(name)
        if shape is None:
            raise CheckpointInvalid(f"{self.folder} has no parameter {name}")
        return self.read("weight", name, 0, torch.Size(shape).numel()).view(shape)
