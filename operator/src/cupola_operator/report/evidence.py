"""What a report is made from: a resource and what it was made from, as read from a work directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cupola_api.artifact import Manifest
from cupola_api.common import Artifact, Attempt, Resource, Status
from cupola_api.mixture import Mixture
from cupola_operator.children import Resolved
from cupola_operator.cluster import Key, Object
from cupola_operator.report.history import History


@dataclass(frozen=True)
class Subject:
    """A resource with everything that is known of its run."""

    key: Key
    resource: Resource
    status: Status
    run: Resolved | None = None
    histories: tuple[History, ...] = ()
    sealed: tuple[Manifest, Artifact] | None = None
    """The manifest of its artifact and the artifact that follows from it, if it is on this machine."""
    samples: tuple[Mapping[str, Any], ...] = ()
    mixture: Mixture | None = None
    """Of a Dataset whose artifact is on this machine."""
    notes: tuple[str, ...] = ()
    """What could not be read, in sentences."""
    events: tuple[Object, ...] = ()
    """Its Events, oldest first."""

    @property
    def title(self) -> str:
        """`PretrainJob python-base`."""
        return f"{self.key.kind} {self.key.name}"

    @property
    def failed_attempts(self) -> list[Attempt]:
        """Attempts that Failed or were Lost; one that was stopped in good order is none of them."""
        return [a for a in self.status.attempts if a.outcome in ("Failed", "Lost")]


@dataclass(frozen=True)
class Evidence:
    """A resource, and before it everything that it was made from, in the order of making."""

    subjects: tuple[Subject, ...]
    missing: tuple[Key, ...] = field(default=())
    """What was referred to and is not there."""

    @property
    def target(self) -> Subject:
        """The resource that the report is about."""
        return self.subjects[-1]

    def get(self, key: Key) -> Subject | None:
        """The subject of that key."""
        return next((subject for subject in self.subjects if subject.key == key), None)
