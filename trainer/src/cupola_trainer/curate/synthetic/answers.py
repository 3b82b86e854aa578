"""What a model answered, kept as it comes: a run, or another one, asks for nothing twice.

    <output>/answers/<model>/<first>-<digest>/answers.jsonl.zst

A piece holds some answers, appears at once and never changes. Its answers are found by the key of
their request, so it does not matter which pod, attempt or run asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import zstandard

from cupola_api.artifact import canonical, digest_of
from cupola_api.run import GenerateRun
from cupola_trainer import storage
from cupola_trainer.storage import Place

_FILE = "answers.jsonl.zst"


@dataclass(frozen=True)
class Answer:
    """What came of a request."""

    key: str
    """Of the request."""
    text: str = ""
    truncated: bool = False
    """Whether it was cut off at maxTokens."""
    input_tokens: int = 0
    output_tokens: int = 0
    failed: str = ""
    """Why there is none, in a few words that hold nothing of the request; empty: there is one."""

    @property
    def empty(self) -> bool:
        """Whether the model answered nothing."""
        return not self.failed and not self.text.strip()


def place(run: GenerateRun) -> Place:
    """Where the answers of a run's model are kept."""
    if run.model:
        model = run.model.digest.removeprefix("sha256:")
    else:
        said = run.endpoint.model if run.endpoint else run.hugging_face
        model = digest_of(said).removeprefix("sha256:")
    return storage.place_of(run.output) / "answers" / model[:16]


def keep(folder: Place, answers: Collection[Answer]) -> None:
    """Write a piece. Raises OSError."""
    if not answers:
        return
    lines = b"".join(canonical(asdict(one)) + b"\n" for one in answers)
    name = f"{next(iter(answers)).key[:8]}-{hashlib.sha256(lines).hexdigest()[:16]}"
    piece = folder / name
    if not isinstance(piece, storage.S3Place):
        piece.mkdir(parents=True, exist_ok=True)
    storage.write(piece / _FILE, zstandard.compress(lines, 3))


def kept(folder: Place, keys: Collection[str]) -> dict[str, Answer]:
    """The answers to requests with these keys that are there. Raises OSError."""
    found: dict[str, Answer] = {}
    for piece in storage.entries(folder):
        try:
            data = storage.read(piece / _FILE)
        except FileNotFoundError:  # a folder whose file is being written
            continue
        for line in zstandard.decompress(data, max_output_size=1 << 30).splitlines():
            value: dict[str, Any] = json.loads(line)
            if value["key"] in keys:
                found.setdefault(value["key"], Answer(**value))
    return found
