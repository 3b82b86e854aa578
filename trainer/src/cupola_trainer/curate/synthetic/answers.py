"""What a model answered, kept as it comes: a run, or another one, asks for nothing twice.

    <output>/answers/<model>/<first>-<last>-<digest>/answers.jsonl.zst

A piece appears at once and never changes; it is named for the first and the last of the documents
that its answers are about. A share asks about documents that lie side by side, and reads only the
pieces that reach into them. Answers are found by the key of their request, so it does not matter
which pod, attempt or run asked. Failures are not kept: another attempt asks once more.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass

import zstandard

from cupola_api.artifact import canonical, digest_of
from cupola_api.run import GenerateRun
from cupola_trainer import storage
from cupola_trainer.storage import Place

_FILE = "answers.jsonl.zst"
_NAME = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})-[0-9a-f]{16}")
_MERGED = 256
"""Answers that are put together as one piece."""
_LOOKS = 3


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

    @property
    def empty(self) -> bool:
        """Whether the model answered nothing."""
        return not self.text.strip()


def place(run: GenerateRun) -> Place:
    """Where the answers of a run's model are kept."""
    if run.model:
        model = run.model.digest.removeprefix("sha256:")
    else:
        said = run.endpoint.model if run.endpoint else run.hugging_face
        model = digest_of(said).removeprefix("sha256:")
    return storage.place_of(run.output) / "answers" / model[:16]


class Keeper:
    """Keeps answers, a piece at a time. Many small pieces become one."""

    def __init__(self, folder: Place) -> None:
        self._folder = folder
        self._loose: list[tuple[Place, Sequence[Answer]]] = []

    def keep(self, answers: Sequence[Answer]) -> None:
        """Write a piece. Raises OSError."""
        if not answers:
            return
        self._loose.append((_write(self._folder, answers), answers))
        if sum(len(some) for _, some in self._loose) >= _MERGED:
            self.merge()

    def merge(self) -> None:
        """Put together what was written since the last time. Raises OSError."""
        if len(self._loose) > 1:
            whole = _write(self._folder, [one for _, some in self._loose for one in some])
            for piece, _ in self._loose:
                if piece.name != whole.name:
                    storage.discard(piece)
        self._loose = []


def _write(folder: Place, answers: Sequence[Answer]) -> Place:
    answers = sorted(answers, key=lambda one: one.key)
    lines = b"".join(canonical(asdict(one)) + b"\n" for one in answers)
    first, last = (one.key[:16] for one in (answers[0], answers[-1]))
    piece = folder / f"{first}-{last}-{hashlib.sha256(lines).hexdigest()[:16]}"
    if not isinstance(piece, storage.S3Place):
        piece.mkdir(parents=True, exist_ok=True)
    storage.write(piece / _FILE, zstandard.compress(lines, 3))
    return piece


def kept(folder: Place, keys: Collection[str]) -> dict[str, Answer]:
    """The answers to requests with these keys that are there; of several the first. Raises OSError."""
    wanted, documents = set(keys), sorted({key[:16] for key in keys})
    found: dict[str, Answer] = {}
    read: set[str] = set()
    for _ in range(_LOOKS):  # of a share that two pods work on, pieces are put together meanwhile
        gone = False
        for piece in sorted(storage.entries(folder), key=lambda one: one.name):
            if piece.name in read or not _reaches(piece.name, documents):
                continue
            try:
                for answer in _read(piece):
                    if answer.key in wanted:
                        found.setdefault(answer.key, answer)
            except (FileNotFoundError, NotADirectoryError):
                gone = True
            except (ValueError, TypeError, zstandard.ZstdError) as error:
                print(f"warning: {piece} is passed over: {type(error).__name__}", flush=True)
            else:
                read.add(piece.name)
        if not gone:
            break
    return found


def _reaches(name: str, documents: Sequence[str]) -> bool:
    """Whether a piece of that name may hold answers about one of the documents, which are sorted."""
    known = _NAME.fullmatch(name)
    if known is None:
        return False
    place = bisect_left(documents, known[1])
    return place < len(documents) and documents[place] <= known[2]


def _read(piece: Place) -> Iterator[Answer]:
    with (
        zstandard.ZstdDecompressor().stream_reader(storage.read(piece / _FILE)) as raw,
        io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as lines,
    ):
        for line in lines:
            yield Answer(**json.loads(line))
