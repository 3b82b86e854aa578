"""The local shell: wires store, node and controllers to the reconciler, and runs until all is done.

It decides nothing about resources. A work directory is a small cluster: everything in it that has
not ended goes on while a shell is open on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cupola_api.common import Resource
from cupola_api.kinds import KINDS
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.interruption import Interruption
from cupola_operator.local import change, closing, jobs, pytorchjobs, requests
from cupola_operator.local.change import Change, Done
from cupola_operator.local.controller import Sync, reconcile
from cupola_operator.local.ending import exit_code
from cupola_operator.local.node import Node
from cupola_operator.local.store import Store
from cupola_operator.queue import Queue
from cupola_operator.reconcile import Reconciler
from cupola_operator.settings import Settings

SETTINGS = closing.SETTINGS
"""The built-in settings of a laptop."""

Show = Callable[[list[Object]], None]
"""Shows the resources, as they stand, to a person."""

_NODE = Key("Node", "", "local")
_CONTROLLERS: dict[str, Sync] = {"PyTorchJob": pytorchjobs.sync, "Job": jobs.sync}
_WORKERS = 4
_SHOW_SECONDS = 0.5


def default_slots() -> int:
    """Slots of this machine: its cores, at least two."""
    return max(2, len(os.sched_getaffinity(0)))


class Shell:
    """A work directory, open. Its lock is held by the caller (see `lock`).

    Raises mirror.MirrorBroken, OSError.
    """

    def __init__(self, workdir: Path, settings: Settings, *, slots: int) -> None:
        self._workdir = workdir
        self._store = Store(workdir)
        self._given: list[Key] = []
        self._reconciler = Reconciler(self._store, settings, progress_every=1.0)
        self._core = Queue(self._reconciler.reconcile)
        self._machine = Queue(self._turn)
        self._node = Node(self._store, workdir, size=slots, wake=lambda: self._machine.wake(_NODE))
        requests.settle(workdir, self._perform)

    def refusals(self, resources: Sequence[Resource]) -> list[tuple[Resource, str]]:
        """(resource, sentence) for everything that keeps these resources from being applied."""
        return change.refusals(self._store, resources)

    def run(self, resources: Sequence[Resource], interruption: Interruption, show: Show) -> int:
        """Apply `resources` and run until they have ended or a signal came; returns the exit code.

        What `cupola apply` adds meanwhile has to end too. 0 if all succeeded, 1 if not, 128 + signal
        if interrupted. Afterwards no pod is left running. Raises processes.ProcessStuck.
        """
        self._node.adopt()
        self._given += [key_of(self._store.apply(resource)) for resource in resources]
        self._store.subscribe(self._wake)
        for value in self._store.all():
            self._wake(value, False)
        self._machine.wake(_NODE)
        self._core.run(_WORKERS)
        self._machine.run(_WORKERS)
        try:
            code = self._watch(interruption, show)
        finally:
            self._core.stop()
            self._machine.stop()
            self._node.drain(interruption.hurry)
            show(self._resources())
        return code

    def _watch(self, interruption: Interruption, show: Show) -> int:
        while not interruption.asked.wait(_SHOW_SECONDS):
            with suppress(OSError):  # a full disk, say: what was not answered is tried again
                requests.settle(self._workdir, self._perform)
            objects = {key_of(value): value for value in self._resources()}
            show(list(objects.values()))
            code = exit_code(self._given, objects)
            if code is not None:
                return code
        show(self._resources())
        return 128 + interruption.number

    def _perform(self, asked: Change) -> Done:
        """Do what a command asks for."""
        done = change.perform(self._store, asked, live=True)
        self._given += done.applied
        return done

    def _resources(self) -> list[Object]:
        return [value for kind in KINDS for value in self._store.find(kind)]

    def _turn(self, key: Key) -> float | None:
        """The machine's part of the work: the node's, or a job controller's."""
        if key == _NODE:
            return self._node.sync()
        return reconcile(self._store, key, _CONTROLLERS[key.kind])

    def _wake(self, value: Object, deleted: bool) -> None:
        """Wake whatever may have to act on a change of an object."""
        key = key_of(value)
        for one in self._reconciler.wakes(value):
            self._core.wake(one)
        if key.kind in _CONTROLLERS and not deleted:
            self._machine.wake(key)
        if key.kind == "Pod":
            self._machine.wake(_NODE)
            for owner in value["metadata"].get("ownerReferences", []):
                if owner["kind"] in _CONTROLLERS:
                    self._machine.wake(Key(owner["kind"], key.namespace, owner["name"]))
