"""The objects of a work directory on disk: one YAML file each, replaced atomically.

A file that is torn or was edited into something else stops the shell with a sentence: an object
that is silently forgotten would be a run that is silently repeated.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from cupola_api.artifact import write_atomic
from cupola_operator.cluster import Key, Object, key_of

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class MirrorBroken(Exception):
    """A file of the mirror cannot be used; the message names it and the remedy."""


class Mirror:
    """The files `<folder>/objects/<kind>/<namespace>/<name>.yaml`, and the Events beside them."""

    def __init__(self, folder: Path) -> None:
        self._objects = folder / "objects"
        self._events = folder / "events.jsonl"

    def read(self) -> list[Object]:
        """All objects, sorted by path. Raises MirrorBroken, OSError."""
        return [
            value
            for path in sorted(self._objects.glob("*/*/*.yaml"))
            if not path.name.startswith(".") and (value := _read(path)) is not None
        ]

    def write(self, value: Object) -> None:
        """Write an object, so that a crash at any point leaves the old one or the new one."""
        text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
        write_atomic(self._path(key_of(value)), text.encode())

    def remove(self, key: Key) -> None:
        """Forget an object."""
        self._path(key).unlink(missing_ok=True)

    def read_events(self) -> list[Object]:
        """The stored Events, oldest first. Raises MirrorBroken, OSError."""
        if not self._events.exists():
            return []
        try:
            return [json.loads(line) for line in self._events.read_text().splitlines()]
        except ValueError as error:
            raise MirrorBroken(
                f"{self._events} is not a list of Events; delete it (they are for people only)"
            ) from error

    def write_events(self, events: list[Object]) -> None:
        """Replace the stored Events."""
        write_atomic(self._events, "".join(json.dumps(event) + "\n" for event in events).encode())

    def _path(self, key: Key) -> Path:
        return self._objects / key.kind / key.namespace / f"{key.name}.yaml"


def _read(path: Path) -> Object | None:
    """The object in a file; None if it was removed meanwhile."""
    remedy = "restore it from a copy, or move it away: the object is then made anew"
    try:
        value = yaml.load(path.read_bytes(), Loader=_Loader)  # noqa: S506  a safe loader, in C
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MirrorBroken(f"{path} is not YAML; {remedy}") from error
    name = Key(path.parent.parent.name, path.parent.name, path.stem)
    try:
        whole = key_of(value) == name and value["metadata"]["uid"]
        int(value["metadata"]["resourceVersion"])
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise MirrorBroken(f"{path} does not hold the whole object {name}; {remedy}")
    found: Object = value
    return found
