"""observe, decide, act: what both shells call for every woken key."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from cupola_api.common import Attempt, Phase, Status
from cupola_api.kinds import KINDS
from cupola_operator import labels, resources
from cupola_operator.bookkeeping import enter, is_overdue
from cupola_operator.children import owner_of
from cupola_operator.cluster import (
    AlreadyExists,
    Cluster,
    Conflict,
    Key,
    NotFound,
    Object,
    Obstacle,
    key_of,
)
from cupola_operator.decide import (
    Create,
    Decision,
    Delete,
    Enter,
    Finalize,
    Verdict,
    decide,
    projection,
)
from cupola_operator.decide.conditions import conditions
from cupola_operator.decide.verdict import SOON, Action
from cupola_operator.observe import alone, observe
from cupola_operator.scrape import scrape
from cupola_operator.settings import Settings
from cupola_operator.speakers import Scrape
from cupola_operator.world import World

log = logging.getLogger(__name__)

OBSTACLE_SECONDS = 60.0
"""Until what a person has to put right is tried again: a name that a stranger's object holds, a
permission, a missing CRD. Nobody is woken when it is."""

_MOVING = {
    **dict.fromkeys(("cost", "costs", "wasted", "causes", "queue_seconds", "told")),
    "gpu_seconds": "0",
    "checkpoint_step": None,
}

_ENDED = {Phase.SUCCEEDED, Phase.FAILED}

_WARNINGS = {Phase.FAILED, Phase.STALLED, Phase.RECOVERING}


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class _NameTaken(Obstacle):
    """An object of a child's name is there that Cupola did not make, or can no longer find."""

    reason = "NameConflict"


class Reconciler:
    """Moves one resource at a time towards what its spec asks for.

    `progress_every`: seconds between two looks at a running attempt, and between two status
    patches that say nothing but progress. Apart from when each key was last patched it keeps no
    memory, and may be called from several threads, for different keys.
    """

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = utc_now,
        progress_every: float = 60.0,
        scrape: Scrape = scrape,
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._clock = clock
        self._every = progress_every
        self._scrape = scrape
        self._patched: dict[Key, float] = {}

    def reconcile(self, key: Key) -> float | None:
        """Do what can be done for `key` now; the seconds until it wants to be looked at again.

        None: only an event changes anything. Errors of the cluster are raised.
        """
        try:
            world = observe(
                self._cluster,
                self._settings,
                key,
                self._clock(),
                self._scrape,
                every=self._every,
            )
        except Obstacle as obstacle:
            world = alone(self._cluster, self._settings, key, self._clock())
            if world and not is_overdue(world):
                return self._unseen(world, obstacle)
        if world is None:
            self._patched.pop(key, None)
            return None
        return self._decided(world)

    def _decided(self, world: World) -> float | None:
        """Do what is decided about a world, and write the status."""
        decision = decide(world)
        closes = any(isinstance(action, Enter) for action in decision.actions)
        again = decision.again
        try:
            for action in decision.actions:
                after = self._act(action, world)
                if after is None:
                    again = SOON
                    if closes:
                        return again
                    break
                world = after
        except Obstacle as obstacle:
            decision = _stalled(world, Decision() if closes else decision, obstacle)
            again = OBSTACLE_SECONDS
        if decision.status and not self._record(world, decision.status):
            return 0
        return again

    def _unseen(self, world: World, obstacle: Obstacle) -> float:
        """Say what keeps the operator from seeing the world around a resource."""
        if world.deleting:
            return OBSTACLE_SECONDS
        status = _stalled(world, Decision(), obstacle).status
        if status and not self._record(world, status):
            return 0
        return OBSTACLE_SECONDS

    def wakes(self, value: Object) -> list[Key]:
        """The keys that an event on an object wakes.

        Of a resource: itself and what refers to it. Of a child or pod: the resource it is of.
        """
        return wakes(value, self._dependents)

    def _dependents(self, key: Key) -> list[Key]:
        found = []
        for kind in KINDS:
            for value in self._cluster.find(kind, key.namespace, {}):
                resource, _ = resources.parse(value)
                if resource and key in resources.refers_to(resource) and key_of(value) != key:
                    found.append(key_of(value))
        return found

    def _act(self, action: Action, world: World) -> World | None:
        """Do an action; the world after it, or None if it is not done yet. Raises Obstacle."""
        match action:
            case Finalize():
                return self._finalize(action, world)
            case Enter():
                return world if enter(self._cluster, action, world) else None
            case Delete():
                self._cluster.delete(action.key, action.uid)
                return world
            case Create():
                return world if self._create(action, world) else None

    def _create(self, action: Create, world: World) -> bool:
        """Create an object; whether it is there, made by this resource."""
        if any(self._cluster.get(key) for key in action.after):
            return False
        try:
            self._cluster.create(action.value)
        except AlreadyExists:
            return self._is_there(action.value, world)
        except NotFound:  # the namespace is going, and the resource with it
            return False
        return True

    def _finalize(self, action: Finalize, world: World) -> World | None:
        """Set the finalizers of the resource; the world of its new version, or None if it changed."""
        try:
            value = self._cluster.finalize(world.key, action.finalizers, world.resource_version)
        except (Conflict, NotFound):
            return None
        return world.but(resource_version=str(value["metadata"]["resourceVersion"]))

    def _is_there(self, value: Object, world: World) -> bool:
        """Whether what could not be created is there, made by this resource before."""
        there = self._cluster.get(key_of(value))
        if there is None:
            return False
        owner = owner_of(there)
        if owner.get("uid") == world.uid:
            wanted = labels.selector(world.key.kind, world.key.name).items()
            if not wanted <= (there["metadata"].get("labels") or {}).items():
                raise _NameTaken(
                    f"{value['kind']} {value['metadata']['name']} has lost its labels, so it is not "
                    "found any more; delete it, and it is made again"
                )
            return not there["metadata"].get("deletionTimestamp")
        same_name = (owner.get("kind"), owner.get("name")) == (world.key.kind, world.key.name)
        if same_name or there["metadata"].get("deletionTimestamp"):
            # Of an earlier resource of this name: the garbage collector removes it.
            return False
        raise _NameTaken(
            f"{value['kind']} {value['metadata']['name']} exists and was not made by this "
            f"{world.key.kind}; delete it, or give the {world.key.kind} another name"
        )

    def _record(self, world: World, status: Status) -> bool:
        """Write the status, if it says something new; whether it still spoke of what is there."""
        if not self._is_news(world, status):
            return True
        value = status.to_json()
        resources.read_status(world.key, value)  # nothing is written that could not be read again
        try:
            self._cluster.patch_status(world.key, value, world.resource_version)
        except (Conflict, NotFound):
            return False
        self._patched[world.key] = time.monotonic()
        before, now = world.status.condition("Ready"), status.condition("Ready")
        if now and (before is None or (before.reason, before.message) != (now.reason, now.message)):
            self._cluster.event(
                world.key,
                kind="Warning" if status.phase in _WARNINGS else "Normal",
                reason=now.reason,
                message=now.message,
            )
        return True

    def _is_news(self, world: World, status: Status) -> bool:
        """Progress and cost alone are written at intervals; anything else at once."""
        before = world.status
        if (status.phase, status.conditions) != (before.phase, before.conditions):
            return True
        if status == before:
            return False
        if _without_progress(status) != _without_progress(before):
            return True
        since = time.monotonic() - self._patched.get(world.key, float("-inf"))
        return since >= self._every


def wakes(value: Object, dependents: Callable[[Key], Iterable[Key]]) -> list[Key]:
    """The keys that an event on an object wakes, if that is what refers to a resource."""
    if value["kind"] in KINDS:
        key = key_of(value)
        return [key, *dependents(key)]
    notes = value["metadata"].get("labels") or {}
    kind, name = notes.get(labels.KIND), notes.get(labels.NAME)
    if kind not in KINDS or not name:
        return []
    return [Key(kind, key_of(value).namespace, name)]


def _without_progress(status: Status) -> Status:
    """Status without what changes with every look at a running attempt."""
    attempts = [attempt if attempt.outcome else _at_rest(attempt) for attempt in status.attempts]
    plan = status.plan and status.plan.model_copy(update={"projection": None})
    moving = {"progress": None, "cost": None, "attempts": attempts, "plan": plan}
    return status.model_copy(update=moving)


def _at_rest(attempt: Attempt) -> Attempt:
    pods = [pod.model_copy(update={"until": None}) for pod in attempt.pods]
    return attempt.model_copy(update={**_MOVING, "pods": pods})


def _stalled(world: World, decision: Decision, obstacle: Obstacle) -> Decision:
    """The decision, Stalled because a person has something to put right first.

    What has ended stays as it ended: status is all that remembers it.
    """
    status = projection.kept(decision.status or world.status, Phase.STALLED)
    if status.phase in _ENDED:
        log.warning("%s: %s", world.key, obstacle)
        return Decision((), status, OBSTACLE_SECONDS)
    verdict = Verdict(Phase.STALLED, obstacle.reason, str(obstacle))
    told = {"phase": Phase.STALLED, "conditions": conditions(world, verdict)}
    return Decision((), status.model_copy(update=told), OBSTACLE_SECONDS)
