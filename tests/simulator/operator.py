"""An operator process: the real Reconciler, what it sees of the cluster, and what befalls its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from cupola_operator.cluster import Conflict, Key, NotFound, Object
from cupola_operator.reconcile import Reconciler
from cupola_operator.settings import Settings

from .cluster import EPOCH
from .specs import SETTINGS

if TYPE_CHECKING:
    from .simulation import Simulation

START = datetime.fromtimestamp(EPOCH, UTC)


class ApiError(Exception):
    """The API server did not answer, or not well."""


class Crash(Exception):
    """The operator dies."""


class Fault(NamedTuple):
    """What befalls one call of a reconcile."""

    kind: str
    """crash before, crash after, refused, timeout, conflict (writes); unavailable (any call)."""
    at: int
    """The number of the write, or of the call."""
    meanwhile: Callable[[], None] | None = None
    """What happens elsewhere just before the call; then `kind` says what is counted: call, write."""


def _labelled(objects: Mapping[Key, Object], labels: Mapping[str, str]) -> list[Object]:
    """Those of `objects` that have `labels`, sorted; all are of one namespace."""
    wanted = labels.items()
    found = [
        (key, value)
        for key, value in objects.items()
        if wanted <= (value["metadata"].get("labels") or {}).items()
    ]
    return [value for _, value in sorted(found)]


class View:
    """The cluster as an operator sees it: reads live, lists that may lag behind."""

    def __init__(self, sim: Simulation, settings: Settings = SETTINGS) -> None:
        self.sim = sim
        self.settings = settings
        """Of the operator that looks."""
        self.lag: dict[str, int] = {}
        self.at: dict[str, int] = {}
        self.found: dict[str, tuple[Any, Any, list[Object]]] = {}
        """What was last found of a kind: in which list, by which labels."""
        self.time = 0
        """Second of the simulation at which it looks, by the operator's clock."""
        self.fault: Fault | None = None
        self.started: set[str] = set()
        """Of the pods that were last found, those that had started."""
        self.glimpsed: set[str] = set()
        """Those that this look found."""
        self.resolved = True
        """Whether the last list of ConfigMaps was the newest."""
        self.patches = 0
        """Status patches that were tried and did not come to anything."""
        self.patching = False
        self.calls = self.writes = self.commits = 0

    def get(self, key: Key) -> Object | None:
        self.calls += 1
        if self.fault:
            self._befalls(self.fault)
        return self.sim.api.objects[key.kind].get(key)

    def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        self.calls += 1
        if self.fault:
            self._befalls(self.fault)
        past = self.sim.api.past[kind]
        newest = len(past) - 1
        at = newest
        if kind in self.lag:
            at = max(self.at.get(kind, 0), newest - self.lag[kind])
        self.at[kind] = at
        listed, wanted, found = self.found.get(kind, (None, None, []))
        if listed is not past[at] or wanted != labels:
            found = _labelled(past[at], labels)
            self.found[kind] = (past[at], labels, found)
            if kind == "Pod":
                self.started = {
                    value["metadata"]["uid"]
                    for value in found
                    if value.get("status", {}).get("startTime")
                }
        if kind == "Pod":
            self.glimpsed = self.started
        elif kind == "ConfigMap":
            self.resolved = at == newest or len(found) == len(_labelled(past[-1], labels))
        return found

    def create(self, value: Object) -> Object:
        def commit() -> Object:
            made = self.sim.api.create(value)
            self.sim.created(made, self)
            return made

        return self._write(commit)  # type: ignore[no-any-return]

    def replace(self, value: Object) -> Object:
        return self._write(lambda: self.sim.api.replace(value))  # type: ignore[no-any-return]

    def finalize(self, key: Key, finalizers: Sequence[str], resource_version: str) -> Object:
        return self._write(  # type: ignore[no-any-return]
            lambda: self.sim.api.finalize(key, finalizers, resource_version)
        )

    def delete(self, key: Key, uid: str) -> None:
        self._write(lambda: self.sim.api.delete(key, uid))

    def patch_status(self, key: Key, status: Mapping[str, Any], resource_version: str) -> Object:
        def commit() -> Object:
            self.patching = True
            try:
                stored = self.sim.api.patch_status(key, status, resource_version)
            finally:
                self.patching = False
            self.sim.patched(key, stored, self)
            return stored

        self.patches += 1
        stored = self._write(commit, patch=True)
        self.patches -= 1
        return stored  # type: ignore[no-any-return]

    def event(self, key: Key, *, kind: str, reason: str, message: str) -> None:
        self._write(lambda: self.sim.events.append((key, kind, reason, message)))

    def _befalls(self, fault: Fault) -> None:
        """What befalls this call."""
        if fault.at != self.calls - 1:
            return
        if fault.meanwhile and fault.kind == "call":
            self.fault = None
            fault.meanwhile()
        elif fault.kind == "unavailable":
            raise ApiError("503")

    def _write(self, commit: Callable[[], Any], *, patch: bool = False) -> Any:
        self.calls += 1
        if self.fault:
            self._befalls(self.fault)
        number, fault = self.writes, self.fault
        self.writes += 1
        if fault and fault.meanwhile and (fault.kind, fault.at) == ("write", number):
            self.fault = None
            fault.meanwhile()
        kind = fault.kind if fault and not fault.meanwhile and fault.at == number else ""
        if kind == "crash before":
            raise Crash
        if kind == "conflict" and patch:
            raise Conflict("somebody was faster")
        if kind in ("refused", "conflict"):
            raise ApiError("429")
        result = commit()
        self.commits += 1
        self.sim.commits += 1
        if kind == "crash after":
            raise Crash
        if kind == "timeout":
            raise ApiError("no answer")
        return result


class Operator:
    """One operator process and its queue, of one key."""

    def __init__(
        self,
        sim: Simulation,
        skew: float = 0.0,
        settings: Settings | None = None,
        key: Key | None = None,
    ) -> None:
        self.sim = sim
        self.settings = settings or sim.settings
        self.key = key or sim.key
        self.skew = skew
        self.due: float | None = sim.now
        self.deaf = False
        self.busy = False
        self.errors = 0
        self.restart()

    def restart(self) -> None:
        """A new process, that remembers nothing and looks at everything."""
        self.view = View(self.sim, self.settings)
        self.reconciler = Reconciler(
            self.view,
            self.settings,
            clock=lambda: START + timedelta(seconds=self.sim.now + self.skew),
            scrape=self.sim.nodes.scrape,
        )
        self.due = self.sim.now

    def hear(self, key: Key, value: Object) -> None:
        """A watch event. It does not need that of its own status patch, so it hears none."""
        if self.deaf or self.due == self.sim.now or self.view.patching:
            return
        if key == self.key or self.key in self.reconciler.wakes(value):
            self.due = self.sim.now

    def look(self, fault: Fault | None = None) -> int:
        """Reconcile; how many writes that made."""
        view = self.view
        view.glimpsed, view.patches = set(), 0
        view.time = int(self.sim.now + self.skew)
        view.fault, view.calls, view.writes, view.commits = fault, 0, 0, 0
        self.due = None
        self.busy = True
        again: float | None
        try:
            again = self.reconciler.reconcile(self.key)
            self.errors = 0
            if not view.patches and view.resolved:
                # While the run cannot be read, nothing of its attempts is taken note of.
                self.sim.seen |= view.glimpsed
        except Crash:
            self.restart()
            return view.commits
        except ApiError:
            again = min(300.0, 2.0**self.errors)
            self.errors += 1
        finally:
            self.busy = False
            view.fault = None
        if again is not None:
            at = self.sim.now + again
            self.due = at if self.due is None else min(at, self.due)
        return view.commits


__all__ = ["ApiError", "Conflict", "Crash", "Fault", "NotFound", "Operator", "View"]
