"""Makes histories fast without changing what is done: the fake clock, and pure results remembered.

Objects of the simulation are never changed in place, so what was read from one is remembered by its
identity (the object is kept, so that no other one can take its place).
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from cupola_api import run as contract
from cupola_operator import children, reconcile, resources
from cupola_operator.build import configmap, run
from cupola_operator.cost import ledger
from cupola_operator.local import pytorchjobs
from cupola_operator.world import World

from . import simulation

LIMIT = 20_000

VALUES = (
    (import_module("cupola_operator.decide.conditions"), "Condition"),
    (ledger, "PodTime"),
    (ledger, "Cost"),
)
"""Immutable values that are made again and again from the same few arguments."""


def _by_identity(function: Callable[..., Any], at: int = 0) -> Callable[..., Any]:
    """Remembers results by the identity of an argument and the value of the others."""
    known: dict[Any, tuple[Any, Any]] = {}

    def remembered(*arguments: Any) -> Any:
        value = arguments[at]
        key = (id(value), *arguments[:at], *arguments[at + 1 :])
        found = known.get(key)
        if found is not None and found[0] is value:
            return found[1]
        result = function(*arguments)
        if len(known) > LIMIT:
            known.clear()
        known[key] = (value, result)
        return result

    return remembered


def _by_spec(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Remembers what is read from a resource by its kind, name and the identity of its spec."""
    known: dict[Any, tuple[Any, Any]] = {}

    def remembered(value: Any) -> Any:
        spec = value["spec"]
        key = (id(spec), value["kind"], value["metadata"]["name"])
        found = known.get(key)
        if found is not None and found[0] is spec:
            return found[1]
        known[key] = (spec, parse(value))
        return known[key][1]

    return remembered


def _by_json(function: Callable[..., Any]) -> Callable[..., Any]:
    """Remembers results by the JSON of the argument."""
    known: dict[str, Any] = {}

    def remembered(value: Any) -> Any:
        key = json.dumps(value.to_json(), sort_keys=True)
        if key not in known:
            if len(known) > LIMIT:
                known.clear()
            known[key] = function(value)
        return known[key]

    return remembered


def _by_world(build: Callable[..., Any]) -> Callable[..., Any]:
    """Remembers resolved runs by the resource and what it refers to."""
    known: dict[Any, tuple[Any, Any]] = {}

    def remembered(world: World, *pool: Any) -> Any:
        read = [world.resource, world.settings, *pool]
        for reference in world.references.values():
            read += [reference.resource, reference.status]
        if world.key.kind == "Dataset":
            read.append(world.status)
        key = tuple(map(id, read))
        if key not in known:
            if len(known) > LIMIT:
                known.clear()
            known[key] = (read, build(world, *pool))
        return known[key][1]

    return remembered


@contextmanager
def fast() -> Iterator[None]:
    """Histories inside are fast."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(children.Pod, "of", staticmethod(_by_identity(children.Pod.of)))
        patch.setattr(children.Job, "of", staticmethod(_by_identity(children.Job.of)))
        patch.setattr(children.Resolved, "of", staticmethod(_by_identity(children.Resolved.of)))
        patch.setattr(resources, "parse", _by_spec(resources.parse))
        patch.setattr(resources, "read_status", _by_identity(resources.read_status, 1))
        patch.setattr(resources, "parse_status", _by_identity(resources.parse_status, 1))
        patch.setattr(
            configmap,
            "contract",
            SimpleNamespace(dump=_by_json(contract.dump), Run=contract.Run),
        )
        for name in ("list_run", "curate_run", "pretrain_run", "fine_tune_run", "evaluate_run"):
            patch.setattr(run, name, _by_world(getattr(run, name)))
        for module, name in VALUES:
            patch.setattr(module, name, lru_cache(LIMIT)(getattr(module, name)))
        patch.setattr(reconcile, "time", SimpleNamespace(monotonic=simulation.clock))
        patch.setattr(pytorchjobs, "free_port", lambda _: 20_000)
        patch.setattr(pytorchjobs, "address", lambda *_: "127.1.1.1")
        before = gc.get_threshold()
        gc.set_threshold(100_000, 20, 20)  # a history makes many objects and few cycles
        try:
            yield
        finally:
            gc.set_threshold(*before)
