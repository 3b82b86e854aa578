"""From files that people write to typed resources; every mistake in them is said, with its line."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from cupola_api import API_VERSION, errors
from cupola_api.common import Resource
from cupola_api.kinds import KINDS, parse
from cupola_operator.cli import yamltree
from cupola_operator.cli.yamltree import Document, YamlInvalid
from cupola_operator.settings import Settings

MAX_BYTES = 512 * 1024
MAX_FILES = 1000
MAX_SAID = 100


class InputInvalid(Exception):
    """Files hold mistakes; `sentences` has one for each, over all files, and at most MAX_SAID."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self.sentences = list(sentences[:MAX_SAID])
        if len(sentences) > MAX_SAID:
            self.sentences.append(f"and {len(sentences) - MAX_SAID} more; correct these first")
        super().__init__("\n".join(self.sentences))


class Manifest(NamedTuple):
    """A resource and the place that it was read from."""

    path: Path
    line: int
    resource: Resource


class _Part(NamedTuple):
    """An object of a document: the document itself, or an item of a List."""

    document: Document
    at: yamltree.Path
    value: Any

    def line(self, *path: int | str) -> int:
        return self.document.line((*self.at, *path))


def read(paths: Sequence[Path]) -> list[Manifest]:
    """The resources in files and folders (*.yaml and *.yml at any depth), in the order read.

    A file may hold several documents and Lists (`kind: List`); one that is named twice is read
    once. Raises InputInvalid with everything that is wrong in all of them.
    """
    manifests: list[Manifest] = []
    wrong: list[str] = []
    files = {os.path.realpath(file): file for path in paths for file in _files(path, wrong)}
    for file in files.values():
        _read_file(file, manifests, wrong)
    if not manifests and not wrong:
        names = " and ".join(str(path) for path in paths)
        kinds = ", ".join(KINDS)
        wrong.append(f"there is no resource in {names or 'no file'}; write one of {kinds}")
    if wrong:
        raise InputInvalid(wrong)
    return manifests


def settings(path: Path, *, store: str | None = None) -> Settings:
    """The installation's settings in a file; `store`, if given, replaces its store.

    Raises InputInvalid with everything that is wrong in it.
    """
    wrong: list[str] = []
    documents = _documents(path, wrong)
    if wrong:
        raise InputInvalid(wrong)
    document = documents[0] if documents else Document({}, {(): 1})
    if len(documents) > 1 or not isinstance(document.value, dict):
        raise InputInvalid([f"{path}: settings are one map; write store, pools and dataPool"])
    value = document.value | ({"store": store} if store else {})
    try:
        return Settings.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise InputInvalid(_mistakes(error, Settings, path, _Part(document, (), value))) from error


def _files(path: Path, wrong: list[str]) -> list[Path]:
    """The files behind a path that a person named."""
    if not os.path.isdir(path):  # noqa: PTH112  is_dir raises where a folder above is closed
        if _is_kustomization(path):
            wrong.append(f"{path}: is for kustomize; name the files that it lists, or their folder")
            return []
        return [path]
    closed = len(wrong)
    found = sorted(_inside(path, wrong))
    if not found and len(wrong) == closed:
        wrong.append(f"{path}: holds no *.yaml or *.yml file; name a folder that does")
    if len(found) > MAX_FILES:
        wrong.append(f"{path}: holds {len(found)} files; name a folder with at most {MAX_FILES}")
        return []
    return found


def _inside(folder: Path, wrong: list[str]) -> Iterator[Path]:
    """The YAML files in a folder and its folders, hidden ones and kustomize's own left out."""

    def fail(error: OSError) -> None:
        wrong.append(f"{error.filename}: {_why(error)}")

    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(place, name)
            known = file.suffix in {".yaml", ".yml"} and not _is_kustomization(file)
            if known and not name.startswith(".") and file.is_file():
                yield file


def _is_kustomization(path: Path) -> bool:
    return path.name in {"kustomization.yaml", "kustomization.yml", "Kustomization"}


def _read_file(path: Path, manifests: list[Manifest], wrong: list[str]) -> None:
    """Add the resources of a file, and what is wrong in it."""
    for document in _documents(path, wrong):
        for part in _parts(path, document, wrong):
            manifest = _manifest(path, part, wrong)
            if manifest and not _taken(manifest, manifests, wrong):
                manifests.append(manifest)


def _documents(path: Path, wrong: list[str]) -> list[Document]:
    """The documents of a file; none of one that cannot be read, and then why."""
    try:
        return yamltree.documents(_text(path))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        wrong.append(f"{path}: {_why(error)}")
    except YamlInvalid as error:
        wrong.append(f"{path}:{error.line}: {error.sentence}")
    return []


def _text(path: Path) -> str:
    """The text of a file. Raises OSError, UnicodeDecodeError, or ValueError with what is wrong.

    A pipe has a writer if this process was given it, as by `-f <(...)`; one that lies in a folder
    may never have any.
    """
    if path.is_fifo() and not path.resolve().name.startswith("pipe:"):
        raise ValueError("is a pipe; write what comes out of it into a file")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES // 1024} KiB; split it")
    return data.decode("utf-8-sig")


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        closed = isinstance(error, PermissionError)
        remedy = "let this user read it" if closed else "correct the path"
        return f"cannot be read: {error.strerror}; {remedy}"
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8 text; save it as UTF-8"
    return str(error)


def _parts(path: Path, document: Document, wrong: list[str]) -> Iterator[_Part]:
    """The objects of a document."""
    value = document.value
    if isinstance(value, dict) and value.get("kind") == "List":
        items = value.get("items", [])
        if not isinstance(items, list):
            wrong.append(f"{path}:{document.line(('items',))} List: items: write a list")
            return
        for index, item in enumerate(items):
            yield _Part(document, ("items", index), item)
    else:
        yield _Part(document, (), value)


def _manifest(path: Path, part: _Part, wrong: list[str]) -> Manifest | None:
    """The typed resource of an object, or None, and then why."""
    value = part.value
    if not isinstance(value, dict):
        wrong.append(
            f"{path}:{part.line()}: a resource is a map; write apiVersion, kind, metadata and spec"
        )
        return None
    name = _name(value)
    refusal = _foreign(value)
    if refusal:
        field, sentence = refusal
        wrong.append(f"{path}:{part.line(field)}{name}: {sentence}")
        return None
    try:
        return Manifest(path, part.line(), parse(value))
    except ValidationError as error:
        wrong += _mistakes(error, KINDS[value["kind"]], path, part)
        return None


def _mistakes(error: ValidationError, kind: type[BaseModel], path: Path, part: _Part) -> list[str]:
    """A sentence for each mistake, behind its place."""
    details = error.errors(include_url=False)
    name = _name(part.value)
    return [
        f"{path}:{part.line(*one['loc'])}{name}: {sentence}"
        for one, sentence in zip(details, errors.sentences(error, kind), strict=True)
    ]


def _name(value: dict[str, Any]) -> str:
    """` Kind/name`, as far as they are there."""
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    words = [errors.plain(word) for word in (value.get("kind"), name) if isinstance(word, str)]
    return f" {'/'.join(words)}" if words else ""


def _foreign(value: dict[str, Any]) -> tuple[str, str] | None:
    """The field and the sentence, if this is no resource of ours."""
    kind, version = value.get("kind"), value.get("apiVersion")
    ours = ", ".join(KINDS)
    if not isinstance(kind, str):
        return "kind", f"kind: this field is required; write one of {ours}"
    if kind not in KINDS:
        of_others = "/" in str(version) and version != API_VERSION
        near = [] if of_others else _near(kind)
        guess = f"did you mean {near[0]}?" if near else f"leave it out; here go {ours}"
        return "kind", f"kind: {errors.plain(kind)} is no kind of Cupola; {guess}"
    if version != API_VERSION:
        given = "is missing" if version is None else f"is {errors.shown(version)}"
        return "apiVersion", f"apiVersion: {given}; write {API_VERSION}"
    return None


def _near(kind: str) -> list[str]:
    known = {name.lower(): name for name in KINDS}
    return [known[near] for near in difflib.get_close_matches(kind.lower(), known, n=1)]


def _taken(manifest: Manifest, others: list[Manifest], wrong: list[str]) -> bool:
    """Whether another resource has this one's kind and name; then it says so."""
    new = manifest.resource
    for path, line, old in others:
        if _identity(old) == _identity(new):
            wrong.append(
                f"{manifest.path}:{manifest.line} {new.kind}/{new.metadata.name}: is also in "
                f"{path}:{line}; keep one, or give one of them another name"
            )
            return True
    return False


def _identity(resource: Resource) -> tuple[str, str, str]:
    return resource.kind, resource.metadata.namespace, resource.metadata.name
