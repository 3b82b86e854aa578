"""Makes histories fast without changing what is done: the fake clock, and pure results remembered.

Objects of the simulation are never changed in place, so what was read from one is remembered by its
identity (the object is kept, so that no other one can take its place).
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields
from functools import lru_cache
from importlib import import_module
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, get_args

import pydantic
import pytest

from cupola_api import outcome
from cupola_api import run as contract
from cupola_api.common import ConditionStatus, FailureClass, Phase, Status
from cupola_api.dataset import DatasetStatus
from cupola_operator import children, names, reconcile, resources, spot
from cupola_operator.build import configmap, run, storage
from cupola_operator.cost import causes, intervals, ledger, prices
from cupola_operator.decide import (
    dataset,
    evaluation,
    finished,
    forecast,
    references,
    resolve,
    training,
)
from cupola_operator.decide.stage import Stage
from cupola_operator.local import pytorchjobs
from cupola_operator.plan import pool as pools
from cupola_operator.plan.answers import fitting
from cupola_operator.world import World

from . import begun, simulation

LIMIT = 20_000
"""Results that are kept of a function of values."""

VALUES = (
    (import_module("cupola_operator.decide.conditions"), "Condition"),
    (causes, "text"),
    (causes, "millionths"),
    (causes, "_causes"),
    (intervals, "PodTime"),
    (ledger, "Cost"),
    (ledger, "amount"),
    (prices, "micros"),
    (names, "config_map"),
    (names, "job"),
    (names, "training_job"),
    (outcome, "read"),
)
"""Immutable values that are made again and again from the same few arguments."""

CHILDREN = (
    (resolve, "config_map"),
    (dataset, "stage_job"),
    (training, "pytorch_job"),
    (evaluation, "evaluation_job"),
)
"""What builds the children of a resource."""


def _memory(*, always: bool) -> dict[Any, tuple[Any, Any]]:
    """Results with what they are of; `always`: also when the history is over."""
    known: dict[Any, tuple[Any, Any]] = {}
    if not always:
        simulation.memories.append(known)
    return known


def _by_identity(function: Callable[[Any], Any], *, always: bool = False) -> Callable[..., Any]:
    """Remembers results by the identity of the argument."""
    known = _memory(always=always)

    def remembered(value: Any) -> Any:
        found = known.get(id(value))
        if found is not None and found[0] is value:
            return found[1]
        result = function(value)
        if len(known) > LIMIT:
            known.clear()
        known[id(value)] = (value, result)
        return result

    return remembered


def _by_name_and_identity(
    function: Callable[[Any, Any], Any], *, always: bool = False
) -> Callable[..., Any]:
    """Remembers results by the value of the first argument and the identity of the second."""
    known = _memory(always=always)

    def remembered(name: Any, value: Any) -> Any:
        found = known.get((name, id(value)))
        if found is not None and found[0] is value:
            return found[1]
        result = function(name, value)
        if len(known) > LIMIT:
            known.clear()
        known[name, id(value)] = (value, result)
        return result

    return remembered


def _by_identities(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Remembers results by the identity of both arguments."""
    known: dict[Any, tuple[Any, Any, Any]] = {}
    simulation.memories.append(known)

    def remembered(first: Any, second: Any) -> Any:
        key = (id(first), id(second))
        found = known.get(key)
        if found is None:
            found = known[key] = (function(first, second), first, second)
        return found[0]

    return remembered


def _as_written(
    read: Callable[[Any, Any], Any], write: Callable[[Any], Any]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Both, where what is read of what was written is what it was written from.

    Deep histories read it.
    """
    known: dict[int, tuple[Any, Any]] = {}
    simulation.memories.append(known)
    empty: dict[str, Any] = {}
    written: dict[int, tuple[Any, Any]] = {}

    def reads(key: Any, value: Any) -> Any:
        found = known.get(id(value))
        if found is not None and found[0] is value:
            return found[1]
        if value is None:
            if key.kind not in empty:
                empty[key.kind] = read(key, value)
            return empty[key.kind]
        return read(key, value)

    def writes(status: Any) -> Any:
        if simulation.begins():
            if id(status) not in written:
                if len(written) > LIMIT:
                    written.clear()
                written[id(status)] = (status, write(status))
            value = written[id(status)][1]
        else:
            value = write(status)
        if not simulation.deep():
            known[id(value)] = (value, status)
        return value

    return reads, writes


def _by_spec(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Remembers what is read from a resource by the identity of its spec; no two share one."""
    known: dict[int, tuple[Any, Any]] = {}

    def remembered(value: Any) -> Any:
        spec = value["spec"]
        found = known.get(id(spec))
        if found is not None and found[0] is spec:
            return found[1]
        known[id(spec)] = (spec, parse(value))
        return known[id(spec)][1]

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
        key = (*map(id, read), _listed(world.status))
        if key not in known:
            if len(known) > LIMIT:
                known.clear()
            known[key] = (read, build(world, *pool))
        return known[key][1]

    return remembered


def _by_parts(build: Callable[..., Any]) -> Callable[..., Any]:
    """Remembers children by the resource and all else that they are built from.

    Deep histories build them anew, and so would see one that comes out in two ways.
    """
    known: dict[Any, tuple[Any, Any]] = {}

    def remembered(world: World, *values: Any, **more: Any) -> Any:
        if simulation.deep():
            return build(world, *values, **more)
        read = [world.resource, world.settings]
        names = [world.uid]
        for value in (*values, *more.values()):
            if isinstance(value, children.Resolved):
                read += [value.run, value.placement]
                names.append(value.name)
            elif isinstance(value, list):
                read += value
            elif isinstance(value, str | int):
                names.append(value)
            else:
                read.append(value)
        key = (*names, *map(id, read))
        if key not in known:
            if len(known) > LIMIT:
                known.clear()
            known[key] = (read, build(world, *values, **more))
        return known[key][1]

    return remembered


def _by_rate(today: Callable[..., Any]) -> Callable[..., Any]:
    """Remembers pools with the price of a day by the pool and that price: always the same object."""
    known: dict[Any, tuple[Any, Any]] = {}

    def remembered(pool: Any, now: Any) -> Any:
        rates = prices.rates(pool)
        key = (id(pool), rates and prices.at(rates, now))
        if key not in known:
            if len(known) > LIMIT:
                known.clear()
            known[key] = (pool, today(pool, now))
        return known[key][1]

    return remembered


def _by_question(answer: Callable[[Any], str]) -> Callable[[Any], str]:
    """Remembers what would fit by the resource and its pool; what it refers to changes no such advice."""
    known: dict[Any, tuple[Any, str]] = {}

    def remembered(question: Any) -> str:
        read = [question.resource, question.settings, question.place]
        key = (question.reason, question.most, *map(id, read))
        if key not in known:
            if len(known) > LIMIT:
                known.clear()
            known[key] = (read, answer(question))
        return known[key][1]

    return remembered


def _filled(kind: Any) -> Callable[..., None]:
    """Makes a frozen dataclass at once, where its own `__init__` sets one field after the other."""
    defaults = {one.name: one.default for one in fields(kind) if one.default is not MISSING}
    defaults |= {
        one.name: one.default_factory()
        for one in fields(kind)
        if one.default_factory is not MISSING
    }

    def fill(self: Any, **values: Any) -> None:
        self.__dict__.update(defaults, **values)

    return fill


def _listed(status: Any) -> Any:
    """What is read of the status of a Dataset to plan and resolve its curation."""
    return isinstance(status, DatasetStatus) and (
        status.listing,
        status.inputs_digest,
        status.parts,
        status.input_bytes,
    )


def _by_figures(total: Callable[..., Any]) -> Callable[..., Any]:
    """Remembers the cost of attempts by all of their figures that count."""
    known: dict[Any, tuple[Any, Any]] = {}

    def remembered(attempts: Any, placement: Any, *, to_come: Any, rate: Any) -> Any:
        key = (
            id(placement),
            to_come,
            rate,
            *[(one.pool, one.gpu_seconds, one.queue_seconds, one.costs) for one in attempts],
        )
        found = known.get(key)
        if found is not None and found[0] is placement:
            return found[1]
        if len(known) > LIMIT:
            known.clear()
        known[key] = (placement, total(attempts, placement, to_come=to_come, rate=rate))
        return known[key][1]

    return remembered


@contextmanager
def fast() -> Iterator[None]:
    """Histories inside are fast."""
    with pytest.MonkeyPatch.context() as patch:
        refers_to = _by_identity(resources.refers_to, always=True)
        patch.setattr(
            children.Pod, "of", staticmethod(_by_identity(begun.one(children.Pod.of, "outcome")))
        )
        patch.setattr(children.Job, "of", staticmethod(_by_identity(begun.one(children.Job.of))))
        patch.setattr(
            children.Resolved,
            "of",
            staticmethod(_by_identity(begun.one(children.Resolved.of, "run", "placement"))),
        )
        patch.setattr(resources, "parse", _by_spec(resources.parse))
        reads, writes = _as_written(_by_name_and_identity(resources.read_status), Status.to_json)
        patch.setattr(resources, "read_status", reads)
        patch.setattr(Status, "to_json", writes)
        for module in (resources, finished, references):
            patch.setattr(module, "refers_to", refers_to)
        patch.setattr(resources, "reference_of", _by_name_and_identity(resources.reference_of))
        patch.setattr(
            resources, "parse_status", _by_name_and_identity(resources.parse_status, always=True)
        )
        patch.setattr(
            configmap,
            "contract",
            SimpleNamespace(
                dump=_by_identity(_by_json(contract.dump), always=True), Run=contract.Run
            ),
        )
        patch.setattr(storage, "places", _by_identity(storage.places, always=True))
        digest = _by_identity(contract.ListRun.digest.fget, always=True)
        for kind in get_args(get_args(contract.Run)[0]):
            patch.setattr(kind, "digest", property(digest))
        for name in ("list_run", "curate_run", "pretrain_run", "fine_tune_run", "evaluate_run"):
            patch.setattr(run, name, _by_world(getattr(run, name)))
        patch.setattr(forecast, "of_world", _by_world(forecast.of_world))
        patch.setattr(fitting, "remedies", _by_question(fitting.remedies))
        patch.setattr(pools, "today", _by_rate(pools.today))
        for module, name in CHILDREN:
            patch.setattr(module, name, _by_parts(getattr(module, name)))
        for kind in (children.Pod, children.Job, Stage, World):
            patch.setattr(kind, "__init__", _filled(kind))
        for module, name in VALUES:
            patch.setattr(module, name, lru_cache(LIMIT)(getattr(module, name)))
        for enum in (ConditionStatus, FailureClass, Phase):  # Python's own takes two calls
            patch.setattr(enum, "value", property(attrgetter("_value_")), raising=False)
        patch.setattr(ledger, "total", _by_figures(ledger.total))
        patch.setattr(prices, "known", _by_identities(begun.one(prices.known, "run", "placement")))
        patch.setattr(prices, "rates", _by_identity(prices.rates, always=True))
        patch.setattr(prices, "priced", _by_identity(prices.priced, always=True))
        patch.setattr(spot, "marked", begun.one(spot.marked, "outcome"))
        patch.setattr(reconcile, "decide", begun.decisions(reconcile.decide))
        interval = _by_identity(intervals.interval, always=True)
        for module in (intervals, ledger):
            patch.setattr(module, "interval", interval)
        patch.setattr(reconcile, "time", SimpleNamespace(monotonic=simulation.clock))
        patch.setattr(pytorchjobs, "free_port", lambda _: 20_000)
        patch.setattr(pytorchjobs, "address", lambda *_: "127.1.1.1")
        # It only says that an attribute is not there, and makes the access to any other slow.
        patch.delattr(pydantic.BaseModel, "__getattr__")
        before = gc.get_threshold()
        gc.set_threshold(1_000_000, 20, 20)  # a history makes many objects and few cycles
        try:
            yield
        finally:
            gc.set_threshold(*before)
            simulation.memories.clear()
