"""A part of an artifact, found without holding its manifest.

The manifest of a large Dataset lists millions of files, of which a training reads a few.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from cupola_api.artifact import MANIFEST, ArtifactInvalid, File, check_file

_AT_ONCE = 1 << 20
"""Characters that are read at a time."""


class Part(NamedTuple):
    """What a manifest says of a part of its artifact."""

    digest: str
    """Of the whole manifest."""
    facts: dict[str, Any]
    files: list[File]


def read_part(manifest: Path, *only: str, where: str | None = None) -> Part:
    """Of a manifest the facts, and the files whose paths begin with one of `only`.

    `where`: what to call it in a sentence. Raises ArtifactInvalid.
    """
    name = where or str(manifest)
    with _readable(manifest, name) as text:
        facts: dict[str, Any] = {}
        files = []
        for key, value in _members(_Reader(text)):
            if key == "facts":
                facts = value
            elif key == "files" and value["path"].startswith(only):
                files.append(File.model_validate(value))
        with manifest.open("rb") as file:
            digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    for entry in files:
        if entry.path.startswith("/") or ".." in entry.path.split("/"):
            raise ArtifactInvalid(f"{name} names a path outside it: {entry.path}")
    return Part(digest, facts, files)


def read_facts(folder: Path) -> dict[str, Any]:
    """The facts of an artifact, which its manifest begins with. Raises ArtifactInvalid."""
    path = folder / MANIFEST
    with _readable(path, str(path)) as text:
        key, value = next(_members(_Reader(text)))
        facts: dict[str, Any] = value if key == "facts" else {}
        return facts


def verify_part(folder: Path, *only: str, digest: str | None = None) -> None:
    """Check the manifest's digest, and the files whose paths begin with one of `only`.

    Raises ArtifactInvalid with the first difference.
    """
    part = read_part(folder / MANIFEST, *only)
    if digest is not None and part.digest != digest:
        raise ArtifactInvalid(f"{folder} has digest {part.digest}, expected {digest}")
    for file in part.files:
        check_file(folder, file)


@contextmanager
def _readable(manifest: Path, name: str) -> Iterator[IO[str]]:
    try:
        with manifest.open(encoding="utf-8") as text:
            yield text
    except OSError as error:
        raise ArtifactInvalid(f"{name} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactInvalid(f"{name} is not a manifest") from error


class _Reader:
    """The JSON values of a text, one after the other."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._held = ""
        self._at = 0
        self._decoder = json.JSONDecoder()

    def next(self) -> str:
        """The character that comes next, not yet taken; empty at the end."""
        if self._at == len(self._held):
            self._more()
        return self._held[self._at : self._at + 1]

    def take(self, character: str) -> None:
        """Take what must come next. Raises ValueError."""
        if self.next() != character:
            raise ValueError(character)
        self._at += 1

    def value(self) -> Any:
        """Take a value. Raises ValueError."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._held, self._at)
                if end < len(self._held):  # a number might go on
                    self._at = end
                    return value
            except ValueError:
                if len(self._held) - self._at > _LONGEST:
                    raise
            if not self._more():
                raise ValueError("the text ends")

    def _more(self) -> bool:
        read = self._text.read(_AT_ONCE)
        self._held = self._held[self._at :] + read
        self._at = 0
        return bool(read)


_LONGEST = 64 << 20
"""Characters of a value, at most."""


def _members(reader: _Reader) -> Iterator[tuple[str, Any]]:
    """Name and value of what a canonical manifest holds; each of its files by itself."""
    reader.take("{")
    while True:
        name = reader.value()
        reader.take(":")
        if name == "files":
            reader.take("[")
            while reader.next() != "]":
                yield name, reader.value()
                if reader.next() != "]":
                    reader.take(",")
            reader.take("]")
        else:
            yield name, reader.value()
        if reader.next() == "}":
            return
        reader.take(",")
