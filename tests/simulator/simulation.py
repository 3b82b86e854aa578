"""One resource in a cluster with controllers, nodes and operators, and the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from cupola_api.outcome import FailureClass
from cupola_operator.children import PATIENCE, PLACEMENT, time_of
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.labels import QUEUE, RETRY
from cupola_operator.local.controller import phase_of

from . import kueue, properties
from .books import Books
from .cluster import Api
from .controllers import Controllers
from .evidence import Look
from .nodes import Nodes
from .operator import START, Operator, View
from .program import Store
from .properties import Broken
from .runs import Run
from .specs import SETTINGS, UPSTREAM, done, key_of_kind, resource

RENDEZVOUS = 900.0
"""Seconds after which a rank that waits for others in vain fails."""

ROUNDS = 400

LIMITS: dict[str, tuple[str, Any]] = {
    "BudgetTooSmall": ("budget", {"maxCost": "1000"}),
    "DeadlineTooShort": ("deadline", "10d"),
    "PriceUnknown": ("budget", None),
}
"""Why a run may not begin by its plan -> the field of its spec, and what is enough."""

POLLS = 6
"""Looks without effect after which a Stalled run counts as at rest, though it is looked at again."""


FOLLOW = 3
"""New decisions after which a simulation counts as one that goes its own way."""

memories: list[dict[Any, Any]] = []
"""What is remembered of objects by their identity, until the history is over."""

_playing: list[Simulation] = []


def clock() -> float:
    """The time of the simulation that is played; the Reconciler's monotonic clock."""
    return _playing[0].now


def deep() -> bool:
    """Whether `decide` is tried after every event of the simulation that is played."""
    return _playing[0].deep


def begins() -> bool:
    """Whether the simulation that is played went no way of its own yet; a deep one does at once."""
    sim = _playing[0]
    return sim.new < FOLLOW and not sim.deep


def parts_ways() -> None:
    """Note a decision that no simulation came to before."""
    _playing[0].new += 1


class Simulation:
    """The whole world; `properties` are checked wherever they could break."""

    settings = SETTINGS
    """Of an operator that starts."""
    new = happened = 0
    """Decisions that no simulation came to before, and events that did something."""
    stride = 1
    """Of so many such events of a deep history, `decide` is tried after one."""

    def __init__(self, kind: str) -> None:
        _playing[:] = [self]
        self.kind = kind
        self.key: Key = key_of_kind(kind)
        self.now = 0.0
        self.api = Api(lambda: self.now)
        self.store = Store()
        self.nodes = Nodes(self.api, self.store)
        self.controllers = Controllers(self.api)
        self.events: list[tuple[Key, str, str, str]] = []
        self.operators: list[Operator] = []
        self.blame: Counter[str] = Counter()
        """What was done to the run of now, by class of failure that it may lead to."""
        self.deep = False
        """Whether `decide` is tried on the world after events, and nothing is remembered."""
        self.troubled = False
        """Whether anything was done that disturbs a run."""
        self.pure = True
        """Whether nothing was done that changes what is to be computed."""
        self.honest = True
        """Whether nothing was done that keeps the ledger from the truth."""
        self.commits = 0
        """Writes of operators so far."""
        self.seen: set[str] = set()
        """uids of pods that an operator saw after their nodes took them, and took note of."""
        self.written: dict[tuple[str, str], float] = {}
        """When an attempt was last written, by uid of the resource and name."""
        self.relabelled: set[str] = set()
        """uids of pods and Jobs that a person took a label from: nobody can find them any more."""
        self.strangers: dict[Key, str] = {}
        """uids of objects that somebody else made."""
        self.books = Books()
        self.told: dict[tuple[str, int], Object] = {}
        """The last status of each run, by uid of the resource and revision."""
        self.queues = False
        """Whether anything was ever made that Kueue admits."""
        self.torn = False
        """Whether the resolved run was ever deleted."""
        self.skews: list[float] = []
        """Of the clocks of operators, also of those that ended."""
        self.by_hand, self.made = set[str](), dict[tuple[str, str, str], str]()
        self.before: dict[str, Object] = {}  # the last status of each resource, by its uid
        self._pods: dict[Key, Object] | None = None
        self._runs: list[Run] = []
        """What `runs` said of these pods."""
        for other in UPSTREAM[kind]:
            self.api.create(done(other))
        self.first = self.api.create(resource(kind))
        self.operators.append(Operator(self))
        self.api.watchers.append(self._tell)

    @property
    def resource(self) -> Object | None:
        return self.api.objects[self.kind].get(self.key)

    @property
    def status(self) -> Object:
        """The status of the resource; empty if it has none."""
        value = self.resource
        return value.get("status", {}) if value else {}

    def living(self) -> set[tuple[str, int | None]]:
        """The runs that are not over for good, by uid of the resource and revision."""
        uid = self.resource["metadata"]["uid"] if self.resource else ""
        return {(uid, self.status.get("run", {}).get("revision"))}

    def _tell(self, key: Key, value: Object) -> None:
        for operator in self.operators:
            operator.hear(key, value)

    # Pods.

    def runs(self) -> list[Run]:
        """Pods that are not over, and those whose objects are still there."""
        pods = self.api.objects["Pod"]
        if pods is not self._pods:
            runs = self.nodes.runs
            self._pods = pods
            self._runs = [runs[pod["metadata"]["uid"]] for _, pod in sorted(pods.items())]
        return self._runs

    def alive(self) -> list[Run]:
        """Pods whose programs run, also those that the cluster knows nothing of any more."""
        runs = self.nodes.runs.values()
        return [run for run in runs if run.begun is not None and run.over is None]

    def given_up(self, run: Run) -> bool:
        """Whether a program runs on though nothing in the cluster can say so any more."""
        if {run.uid, run.job} & self.relabelled:
            return True
        pod = self.nodes.pod(run)
        if pod is None or phase_of(pod) in ("Succeeded", "Failed"):
            return True
        gone = time_of(pod["metadata"].get("deletionTimestamp"))
        skew = max(operator.skew for operator in self.operators)
        return gone is not None and START + timedelta(seconds=self.now + skew) > gone + PATIENCE

    # What operators write.

    def created(self, value: Object, view: View) -> None:
        if "ownerReferences" not in value["metadata"]:  # a ledger
            return
        properties.child_is_made_once(self, value)
        owner = value["metadata"]["ownerReferences"][0]["uid"]
        self.books.made[owner, value["metadata"]["name"]] = self.now
        self.queues = self.queues or QUEUE in value["metadata"].get("labels", {})
        if value["kind"] == "ConfigMap":
            placement = value["metadata"]["annotations"][PLACEMENT]
            self.books.resolved.append((key_of(value), owner, placement, int(self.now)))

    def patched(self, key: Key, value: Object, view: View) -> None:
        uid, status = value["metadata"]["uid"], value["status"]
        before = self.before.get(uid, {})
        if before.get("run", {}).get("revision") != status.get("run", {}).get("revision"):
            before = {}
        old = {attempt["name"]: attempt for attempt in before.get("attempts", [])}
        for attempt in status.get("attempts", []):
            if old.get(attempt["name"]) != attempt:
                self.written[uid, attempt["name"]] = self.now
                self.books.charged[uid, attempt["name"]].append(view.settings)
        self.before[uid] = status
        if "run" in status:
            run = (uid, status["run"]["revision"])
            self.told[run] = status
            if attempts := status.get("attempts"):
                look = Look(view.time, view.found["Pod"][2], attempts)
                self.books.looks[run].append(look)
        properties.status_is_sound(before, status)
        if status["phase"] == "Suspended" and not view.lag:
            properties.no_pod_of_a_held_run_lives(self, uid)

    # Time passes, and all goes well.

    def round(self, *, finish: bool = False) -> bool:
        """Everybody does what there is to do now, once; whether anybody did anything."""
        moved = self.controllers.sync()
        moved = self.controllers.collect() or moved
        moved = kueue.admit(self) or moved
        for run in self.runs():
            moved = self._tend(run) or moved
        if finish:
            for run in self.alive():
                moved = self._finish(run) or moved
        for operator in self.operators:
            if not operator.busy and operator.due is not None and operator.due <= self.now:
                operator.look()
                moved = True
        if moved:
            self.now += 1
        properties.one_attempt_lives(self)
        return moved

    def _tend(self, run: Run) -> bool:
        """What a kubelet does about a pod now."""
        if run.over is not None:
            return run.over < self.now and self.nodes.remove(run)
        if run.asked is not None and self.now < run.stops:
            return False
        return self.nodes.stop(run) or self.nodes.start(run)

    def _finish(self, run: Run) -> bool:
        if not run.alive:
            return False
        if self.nodes.finish(run):
            return True
        if run.begun is not None and self.now - run.begun >= RENDEZVOUS:
            self.blame["Infrastructure"] += 1
            self.nodes.fail(run, FailureClass.INFRASTRUCTURE, "RankLost")
            return True
        return False

    def times(self) -> Iterator[float]:
        for operator in self.operators:
            if operator.due is not None:
                yield operator.due
        yield from self.controllers.due.values()
        for run in self.alive():
            if run.begun is not None:
                yield run.begun + RENDEZVOUS
        for run in self.runs():
            if run.asked is not None and run.stops > self.now:
                yield run.stops
            if run.asked is not None and run.over == self.now:
                yield self.now + 1

    def rest(self) -> None:
        """Go on, with nothing going wrong, until nobody wants to do anything any more."""
        idle = 0
        for _ in range(ROUNDS):
            commits = self.commits
            if self.round(finish=True):
                idle = idle + 1 if self.commits == commits else 0
                if idle > POLLS and self.status.get("phase") == "Stalled":
                    return
                continue
            due = min(self.times(), default=None)
            if due is None:
                return
            self.now = max(self.now, due)
        ready = [c for c in self.status.get("conditions", []) if c["type"] == "Ready"]
        raise Broken("it comes to rest", f"it is {self.status.get('phase')}: {ready}")

    def heal(self) -> None:
        """Nothing is wrong any more."""
        for node in list(self.nodes.cut):
            self.nodes.heal(node)
        for run in self.alive():
            if self.nodes.pod(run) is None:
                run.over = self.now
        self.nodes.mute = False
        for key, uid in self.strangers.items():
            there = self.api.get(key)
            if there and there["metadata"]["uid"] == uid:
                self.api.remove(key)
        self.nodes.strange.clear()
        self.nodes.full.clear()
        if self.resource and "oops" in self.resource["spec"]:
            self.api.respec(self.resource, oops=None)
        if len(self.operators) > 1:
            del self.operators[0]
        for operator in self.operators:
            operator.view.lag.clear()
            operator.deaf = False
            operator.due = self.now

    def finish_upstream(self) -> None:
        """What is referred to is there, and finished."""
        for other in UPSTREAM[self.kind]:
            key = key_of_kind(other)
            value = self.api.get(key)
            if value is None:
                self.api.create(done(other))
            elif value["status"]["phase"] != "Succeeded":
                self.api.put({**value, "status": {**value["status"], "phase": "Succeeded"}})

    def end(self) -> None:
        """From here on all goes well, to the end; then judge it."""
        self.heal()
        self.finish_upstream()
        self.rest()
        self._release()
        properties.judge(self)
        if self.status.get("phase") == "Failed" and self.honest:
            self._again()
            properties.judge(self)

    def _again(self) -> None:
        """A person takes away what ended a run that failed, and asks for another try."""
        value = self.resource
        if value is None:
            return
        self.blame.clear()
        value = self.api.respec(value, suspend=None, deadline=None, budget=None)
        notes = {**value["metadata"].get("annotations", {}), RETRY: "once more"}
        self.api.edit(value, annotations=notes)
        self.rest()

    def _release(self) -> None:
        """A run that is held goes on when the person who held it says so."""
        for turn in range(4):
            value = self.resource
            if value is None:
                return
            if properties.reason(self.status) in LIMITS:
                self._allow(value, turn)
                continue
            if self.status.get("phase") != "Suspended":
                return
            properties.suspended_holds_nothing(self)
            spec = value["spec"]
            if spec.get("suspend"):
                self.api.respec(value, suspend=None)
            elif "budget" in spec:
                self.api.respec(value, budget=None)
            else:
                raise Broken("a hold has a cause", f"Suspended, and spec is {spec}")
            self.rest()

    def _allow(self, value: Object, turn: int) -> None:
        """A person raises a limit that the plan exceeds, or has the run start all the same."""
        properties.refused_run_has_not_begun(self)
        field, enough = LIMITS[properties.reason(self.status)]
        raised = enough is None or (self.commits + turn) % 2
        self.api.respec(value, **({field: enough} if raised else {"admission": "Ignore"}))
        self.rest()

    def forget(self) -> None:
        """Let go of everything, once it was played.

        A history is a web of references both ways; untied, its memory goes at once, and the garbage
        collector has nothing to do, which took a seventh of the time.
        """
        for memory in memories:
            memory.clear()
        for part in (*self.operators, self.api, self):
            vars(part).clear()


__all__ = ["Broken", "Simulation"]
