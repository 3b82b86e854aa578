"""Requests of commands to whoever holds the lock of a work directory: files in `requests/`.

A command writes `<time>-<id>.json` atomically. The holder of the lock renames it to `.taken`, does
what it says, writes `.answer`, and removes it. The holder is the open shell or, if there is none,
the command itself. So nothing is lost in a crash:

- A request that a dead command left, and one that a dead shell had taken, are done when the next
  holder comes, before anything else and in the order in which they were asked for.
- A command that gives up takes its request back; one that was taken already is done.
- Answers that nobody fetched, and torn files, go after a minute.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import Field, ValidationError

from cupola_api.artifact import write_atomic
from cupola_api.base import Model
from cupola_operator.local.change import CHANGE, Change, Done
from cupola_operator.local.store import Refused

MAX_BYTES = 32 * 1024 * 1024
"""Of a request."""

_REQUEST = re.compile(r"[0-9]{20}-[0-9a-f]{8}\.(json|taken)")
_STALE_SECONDS = 60.0


class Answer(Model):
    """What came of a request."""

    done: bool
    sentences: list[str] = Field(default_factory=list)


Perform = Callable[[Change], Done]
"""Does a change to the store, or raises Refused."""


def put(workdir: Path, change: Change) -> Path:
    """Write a request; returns its file. Raises OSError."""
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}.json"
    path = workdir / "requests" / name
    write_atomic(path, CHANGE.dump_json(change, by_alias=True))
    return path


def answer(request: Path) -> Answer | None:
    """The answer to a request, once; None while there is none."""
    path = request.with_suffix(".answer")
    try:
        found = Answer.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    path.unlink(missing_ok=True)
    return found


def withdraw(request: Path) -> bool:
    """Take a request back; False if it was taken already, or done."""
    try:
        request.unlink()
    except FileNotFoundError:
        return False
    return True


def settle(workdir: Path, perform: Perform) -> None:
    """Do all requests, oldest first, and answer them. For the holder of the lock. Raises OSError."""
    folder = workdir / "requests"
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if not _REQUEST.fullmatch(path.name):
            _sweep(path)
            continue
        taken = path.with_suffix(".taken")
        try:
            path.replace(taken)
        except FileNotFoundError:
            continue  # its command took it back
        said = _answer(taken, perform)
        write_atomic(path.with_suffix(".answer"), said.model_dump_json().encode())
        taken.unlink()


def _answer(path: Path, perform: Perform) -> Answer:
    try:
        change = CHANGE.validate_json(_read(path))
        return Answer(done=True, sentences=perform(change).sentences)
    except Refused as refused:
        return Answer(done=False, sentences=str(refused).splitlines())
    except (ValidationError, ValueError):
        return Answer(done=False, sentences=[f"{path.name} is no request that is understood"])
    except OSError as error:
        return Answer(done=False, sentences=[f"{error.filename or path}: {error.strerror}"])


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES} bytes")
    return data


def _sweep(path: Path) -> None:
    """Remove what nobody waits for any more."""
    try:
        if time.time() - path.stat().st_mtime > _STALE_SECONDS:
            path.unlink()
    except OSError:
        return  # fetched meanwhile, or not ours
