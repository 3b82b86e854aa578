"""The objects of a work directory on disk: one YAML file each, replaced atomically.

A file that is torn or was edited into something else stops the shell with a sentence: an object
that is silently forgotten would be a run that is silently repeated. A file begins with `---` and
ends with `...`, so that one that was cut between two lines can be told from a whole one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml

from cupola_api.artifact import write_atomic
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.resources import STATUS, StatusUnreadable, read_status

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


_START, _END = b"---", b"..."
"""What a file begins and ends with; those of earlier versions have neither."""

_EVENT_FIELDS = {"involvedObject", "reason", "message", "count", "firstTimestamp", "lastTimestamp"}


class MirrorBroken(Exception):
    """A file of the mirror cannot be used; the message names it and the remedy."""


class Mirror:
    """The files `<folder>/objects/<kind>/<namespace>/<name>.yaml`, and the Events beside them."""

    def __init__(self, folder: Path) -> None:
        self._objects = folder / "objects"
        self._events = folder / "events.jsonl"

    def clean(self) -> None:
        """Remove what crashes left of writes. The caller holds the work directory's lock."""
        for path in (
            *self._objects.glob("*/*/.*.tmp"),
            *self._events.parent.glob(".*.jsonl.*.tmp"),
        ):
            path.unlink(missing_ok=True)

    def read(self) -> list[Object]:
        """All objects, sorted by path. Raises MirrorBroken, OSError."""
        return [
            value
            for path in sorted(self._objects.glob("*/*/*.yaml"))
            if not path.name.startswith(".") and (value := _read(path)) is not None
        ]

    def write(self, value: Object) -> None:
        """Write an object, so that a crash at any point leaves the old one or the new one.

        Raises OSError: the old one is there still, unless it was the folder that a dying disk could
        not sync.
        """
        text = yaml.dump(
            value,
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            width=100,
            explicit_start=True,
            explicit_end=True,
        )
        write_atomic(self._path(key_of(value)), text.encode())

    def remove(self, key: Key) -> None:
        """Forget an object, also after a loss of power. Raises OSError."""
        path = self._path(key)
        path.unlink(missing_ok=True)
        if path.parent.exists():
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def read_events(self) -> list[Object]:
        """The stored Events, oldest first. Raises MirrorBroken, OSError."""
        if not self._events.exists():
            return []
        try:
            events = [json.loads(line) for line in self._events.read_text().splitlines()]
            whole = all(event.keys() >= _EVENT_FIELDS for event in events)
        except (ValueError, AttributeError):
            whole = False
        if not whole:
            raise MirrorBroken(
                f"{self._events} is not a list of Events; delete it (they are for people only)"
            )
        return events

    def write_events(self, events: list[Object]) -> None:
        """Replace the stored Events."""
        write_atomic(self._events, "".join(json.dumps(event) + "\n" for event in events).encode())

    def _path(self, key: Key) -> Path:
        return self._objects / key.kind / key.namespace / f"{key.name}.yaml"


def _read(path: Path) -> Object | None:
    """The object in a file; None if it was removed meanwhile."""
    remedy = "restore it from a copy, or move it away: the object is then made anew"
    try:
        data = path.read_bytes()
        value = yaml.load(data, Loader=_Loader)  # noqa: S506  a safe loader, in C
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MirrorBroken(f"{path} is not YAML; {remedy}") from error
    name = Key(path.parent.parent.name, path.parent.name, path.stem)
    cut = data.startswith(_START) and not data.rstrip().endswith(_END)
    if cut or not _is_whole(value, name):
        raise MirrorBroken(f"{path} does not hold the whole object {name}; {remedy}")
    found: Object = value
    return found


def _is_whole(value: Any, name: Key) -> bool:
    """Whether a value is an object of that name, with all that is read without looking twice."""
    try:
        metadata = value["metadata"]
        owners = metadata.get("ownerReferences") or []
        maps = [metadata.get(field, {}) for field in ("labels", "annotations")]
        maps += [value.get(field, {}) for field in ("spec", "status", "data")]
        if name.kind == "Pod":
            maps += value["spec"]["containers"] or [None]
        if name.kind in STATUS:
            read_status(name, value.get("status"))
        int(metadata["resourceVersion"])
        return bool(
            key_of(value) == name
            and metadata["uid"]
            and all(owner["uid"] for owner in owners)
            and all(isinstance(one, dict) for one in maps)
        )
    except (AttributeError, KeyError, TypeError, ValueError, StatusUnreadable):
        return False
