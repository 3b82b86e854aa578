"""All that a decision about one resource rests on: plain values, made by `observe`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from cupola_api.common import Resource, Status
from cupola_operator import names
from cupola_operator.children import Job, Pod, Resolved
from cupola_operator.cluster import Key
from cupola_operator.cost.entries import Entry
from cupola_operator.cost.namespace import Spending
from cupola_operator.resources import Reference
from cupola_operator.settings import Settings

R = TypeVar("R", bound=Resource)
S = TypeVar("S", bound=Status)


@dataclass(frozen=True)
class World:
    """A resource, its children, what its pods said, what it refers to, and the time."""

    key: Key
    now: datetime
    settings: Settings
    uid: str
    resource_version: str
    status: Status
    generation: int = 1
    resource: Resource | None = None
    """None: the object is not valid; `invalid` says why."""
    invalid: str = ""
    deleting: bool = False
    deleted_at: datetime | None = None
    """When its deletion was asked for."""
    finalizers: tuple[str, ...] = ()
    retry: str = ""
    """The token of the annotation cupola.dev/retry."""
    runs: Mapping[str, Resolved | None] = field(default_factory=dict)
    """By name of the ConfigMap; None where it cannot be read."""
    jobs: tuple[Job, ...] = ()
    """Of this resource by uid, whatever their revision."""
    pods: tuple[Pod, ...] = ()
    """By label; those of an earlier resource of the same name are told apart by their owner."""
    references: Mapping[Key, Reference] = field(default_factory=dict)
    """What it refers to, and what the base of a FineTune goes back to."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What the running attempt serves, as `speakers.heard` says; empty if nobody answers."""
    before: tuple[Entry, ...] = ()
    """What earlier resources of its kind and name spent on this revision, at the start of a run."""
    spending: Spending = field(default_factory=Spending)
    """What the other resources of its namespace spent, and spend, where that has a budget."""
    ends: str = ""
    """Why its run is being closed, if it is: a reason of `decide.hold`."""
    every: float = 60.0
    """Seconds between two looks at a running attempt."""

    def resource_as(self, kind: type[R]) -> R:
        """The resource as that kind. Raises TypeError if it is another."""
        if not isinstance(self.resource, kind):
            raise TypeError(f"{self.key} is no valid {kind.__name__}")
        return self.resource

    def status_as(self, kind: type[S]) -> S:
        """The status as that type. Raises TypeError if it is another."""
        if not isinstance(self.status, kind):
            raise TypeError(f"{self.key} has no {kind.__name__}")
        return self.status

    def with_status(self, status: Status) -> World:
        """The same world with another status."""
        return self if status is self.status else self.but(status=status)

    def but(self, **changes: Any) -> World:
        """The same world with other values of some fields; the spec is none of them."""
        copy = object.__new__(World)  # dataclasses.replace takes ten times as long
        object.__setattr__(copy, "__dict__", {**self.__dict__, **changes})
        return copy

    @cached_property
    def revision(self) -> int:
        """spec.revision; 0 if the spec is not valid."""
        return int(self.resource.spec.revision) if self.resource else 0

    def run_name(self, stage: str | None = None) -> str:
        """Name of the ConfigMap of the run of spec.revision."""
        return names.config_map(self.key.kind, self.key.name, self.revision, stage)

    def is_resolved(self, stage: str | None = None) -> bool:
        """Whether the run of spec.revision has its ConfigMap."""
        return self.run_name(stage) in self.runs

    def resolved(self, stage: str | None = None) -> Resolved | None:
        """The run of spec.revision, if it was resolved and can be read."""
        return self.runs.get(self.run_name(stage))
