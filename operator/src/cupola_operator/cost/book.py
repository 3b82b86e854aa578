"""The ledger of a namespace: a ConfigMap a month with what closed runs cost, one entry a run.

The key of an entry names the run by the resource's uid and the revision, so that one that is written
again replaces itself and nothing counts twice. A ConfigMap holds 1 MiB: before it is full, the
oldest entries are added up by kind and currency, and keep their money but not their names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from cupola_operator import labels
from cupola_operator.children import time_of
from cupola_operator.cluster import Key, Object, Obstacle
from cupola_operator.cost.entries import Entry, added
from cupola_operator.cost.months import Month

COMPONENT = "ledger"
SELECTOR = {labels.MANAGED_BY: labels.CUPOLA, labels.COMPONENT: COMPONENT}
"""Labels of the ConfigMaps."""

FULL = 900_000
"""Bytes of data beyond which the oldest entries are added up."""

_AFTER = 600_000
"""Bytes that are left then, at most, where entries are old enough."""

_FRESH = timedelta(hours=1)
"""A run that was closed so recently may be written once more, so its entry keeps its key."""

_PREFIX = "cupola-ledger-"


class Foreign(Obstacle):
    """A ConfigMap of the ledger's name is there that Cupola did not make."""

    reason = "NameConflict"


def key(namespace: str, month: Month) -> Key:
    """The ConfigMap of a month: `cupola-ledger-2026-11`."""
    return Key("ConfigMap", namespace, f"{_PREFIX}{month}")


def entered(there: Object | None, namespace: str, month: Month, entry: Entry) -> Object | None:
    """The ConfigMap of a month with an entry in it; None if it holds that already.

    `there`: the ConfigMap as it is. Raises Foreign.
    """
    value = there or _new(namespace, month)
    notes = value["metadata"].get("labels") or {}
    if not SELECTOR.items() <= notes.items():
        raise Foreign(
            f"ConfigMap {value['metadata']['name']} exists and was not made by Cupola, so that what "
            "runs cost cannot be kept; delete it"
        )
    data = dict(value.get("data") or {})
    known = _entry(data.get(entry.identity))
    if known and known.model_copy(update={"closed": entry.closed}) == entry:
        return None
    data[entry.identity] = _text(entry)
    return {**value, "data": _bounded(data, time_of(entry.closed))}


def read(value: Object) -> Iterator[tuple[Month, Entry]]:
    """The entries of a ConfigMap with their month; what cannot be read is left out."""
    name = str(value["metadata"]["name"])
    month = name.removeprefix(_PREFIX)
    for text in (value.get("data") or {}).values():
        if entry := _entry(text):
            yield month, entry


def entries(values: Iterable[Object], month: Month | None = None) -> list[Entry]:
    """The entries of several ConfigMaps, or those of a month."""
    found = (one for value in values for one in read(value))
    return [entry for of, entry in found if month in (None, of)]


def _new(namespace: str, month: Month) -> Object:
    name = key(namespace, month).name
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(SELECTOR)},
        "data": {},
    }


def _text(entry: Entry) -> str:
    value = entry.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(value, separators=(",", ":"))


def _entry(text: Any) -> Entry | None:
    try:
        return Entry.model_validate_json(text) if isinstance(text, str) else None
    except ValidationError:
        return None


def _size(data: dict[str, str]) -> int:
    return sum(len(name) + len(text.encode()) for name, text in data.items())


def _bounded(data: dict[str, str], now: datetime | None) -> dict[str, str]:
    """The data, its oldest entries added up if it is nearly full."""
    size = _size(data)
    if size <= FULL or now is None:
        return data
    dated = [
        (closed, name, entry)
        for name, text in data.items()
        if (entry := _entry(text))
        and entry.name
        and (closed := time_of(entry.closed))
        and closed < now - _FRESH
    ]
    sums: dict[str, Entry] = {}
    for _, name, entry in sorted(dated, key=lambda one: one[:2]):
        if size <= _AFTER:
            break
        size -= len(name) + len(data.pop(name).encode())
        nameless = entry.model_copy(update={"name": None, "uid": "", "revision": 0})
        total = sums.get(nameless.identity) or _entry(data.get(nameless.identity))
        sums[nameless.identity] = added(total, entry) if total else nameless
    return data | {name: _text(entry) for name, entry in sums.items()}
