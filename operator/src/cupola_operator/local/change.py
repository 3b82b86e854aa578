"""What a person asks of a work directory by a command, and how it is done to the store.

To do a change twice is to do it once, so that one may be repeated after a crash. On a cluster the
same is done with kubectl: patch, annotate, delete, apply.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from cupola_api import API_VERSION, kinds
from cupola_api.base import Model
from cupola_api.common import Phase, Resource, Status
from cupola_operator import labels
from cupola_operator.cluster import Conflict, Key, NotFound, Object, key_of
from cupola_operator.decide import hold
from cupola_operator.local import admission, closing
from cupola_operator.local.applied import SUSPEND, named
from cupola_operator.local.store import Refused, Store
from cupola_operator.resources import parse, parse_status

Kind = Literal["Dataset", "PretrainJob", "FineTune", "Evaluation"]


class _OfResource(Model):
    kind: Kind
    namespace: str = Field(max_length=63)
    name: str = Field(max_length=253)
    uid: str = Field(max_length=64)

    @property
    def key(self) -> Key:
        """The key of the resource."""
        return Key(self.kind, self.namespace, self.name)


class Suspend(_OfResource):
    """Set spec.suspend."""

    verb: Literal["suspend"] = "suspend"


class Resume(_OfResource):
    """Take spec.suspend back."""

    verb: Literal["resume"] = "resume"


class Retry(_OfResource):
    """Give the annotation cupola.dev/retry a token that it did not have before."""

    verb: Literal["retry"] = "retry"
    token: str = Field(min_length=1, max_length=253)


class Delete(_OfResource):
    """Delete the resource and all that it owns; artifacts stay."""

    verb: Literal["delete"] = "delete"


class Apply(Model):
    """Apply resources, as files say them: without defaults."""

    verb: Literal["apply"] = "apply"
    resources: list[dict[str, Any]] = Field(min_length=1, max_length=10_000)

    @classmethod
    def of(cls, resources: Sequence[Resource]) -> Apply:
        """The change that applies these."""
        return cls(
            resources=[
                {"apiVersion": API_VERSION, "kind": one.kind}
                | one.model_dump(mode="json", by_alias=True, exclude_unset=True)
                for one in resources
            ]
        )


Change = Annotated[Suspend | Resume | Retry | Delete | Apply, Field(discriminator="verb")]

CHANGE: TypeAdapter[Change] = TypeAdapter(Change)
"""Reads and writes a change as JSON."""


@dataclass(frozen=True)
class Done:
    """What came of a change."""

    sentences: list[str]
    """What happens next, for a person."""
    applied: list[Key]
    """The resources that files were applied for."""


def perform(store: Store, change: Change, *, live: bool) -> Done:
    """Do a change; `live`: a shell is open on the work directory, so that it has its effect now.

    Raises Refused with a sentence when it cannot be done; then nothing was changed. Raises OSError,
    pydantic.ValidationError.
    """
    if isinstance(change, Apply):
        return _apply(store, change, live=live)
    value = store.get(change.key)
    if value is None or value["metadata"]["uid"] != change.uid:
        raise Refused(f"{change.key} is not there any more; look with cupola get")
    status = parse_status(change.kind, value.get("status"))
    match change:
        case Suspend():
            said = _suspend(store, value, status, live=live)
        case Resume():
            said = _resume(store, value, status, live=live)
        case Retry():
            said = _retry(store, value, status, change.token, live=live)
        case Delete():
            store.delete(change.key, change.uid)
            said = _deleted(store, change.key, live=live)
    return Done([f"{said}."], [])


def _deleted(store: Store, key: Key, *, live: bool) -> str:
    """What follows a deletion; without a shell the run is closed here."""
    if live:
        then = "; its pods stop" if store.get(key) else ""
    else:
        then = (
            ""
            if closing.close(store, key)
            else "; what is left of it ends with the next cupola run"
        )
    return (
        f"{key} is deleted{then}. What it made stays in the store, and what it cost is told by cupola "
        "cost: applied again, it goes on from there"
    )


def refusals(store: Store, resources: Sequence[Resource]) -> list[tuple[Resource, str]]:
    """(resource, sentence) for everything that keeps these resources from being applied."""
    values = [value for kind in kinds.KINDS for value in store.find(kind)]
    parsed = [parse(value)[0] for value in values]
    there = {admission.key(one): one for one in parsed if one}
    going = {key_of(value) for value in values if "deletionTimestamp" in value["metadata"]}
    again = "is being deleted; apply it again when its pods have ended and it is gone"
    updates = [(one, again) for one in resources if admission.key(one) in going]
    updates += [(one, said) for one in resources if (said := store.refusal(one))]
    return updates + admission.problems(resources, there)


def _suspend(store: Store, value: Object, status: Status, *, live: bool) -> str:
    key = key_of(value)
    if value["spec"].get("suspend"):
        return f"{key} is suspended already; cupola resume {key} goes on"
    _edit(store, value, lambda new: new["spec"].update(suspend=True))
    if status.phase in (Phase.SUCCEEDED, Phase.FAILED):
        return (
            f"{key} has {status.phase}, so there is nothing to stop; a new revision of it waits for "
            f"cupola resume {key}"
        )
    if live and any(attempt.outcome is None for attempt in status.attempts):
        return f"{key} stops and then holds no devices; {_KEEPS[key.kind]} by cupola resume {key}"
    return f"{key} is suspended: nothing of it starts until cupola resume {key}" + _file(value)


_KEEPS = {
    "Dataset": "its finished stages stay, and it goes on",
    "PretrainJob": "it saves a checkpoint first, and goes on from it",
    "FineTune": "it saves a checkpoint first, and goes on from it",
    "Evaluation": "it makes no checkpoints, and is begun anew",
}
"""What a run that is stopped keeps, and how it is continued."""


def _resume(store: Store, value: Object, status: Status, *, live: bool) -> str:
    key = key_of(value)
    ready = status.condition("Ready")
    held = status.phase is Phase.SUSPENDED and ready and ready.reason == hold.BUDGET
    if not value["spec"].get("suspend"):
        if status.phase is Phase.SUSPENDED and ready and ready.reason == hold.NAMESPACE:
            raise Refused(
                f"{key} is held by the budget of its namespace, and resume does not raise that: wait "
                "for the next month, or raise namespaces.budget.maxCost in the settings"
            )
        if held:
            raise Refused(
                f"{key} is held by its budget, and resume does not raise it: raise "
                "spec.budget.maxCost in its file and apply that"
            )
        return f"{key} is not suspended; nothing changed"
    _edit(store, value, lambda new: new["spec"].update(suspend=False))
    if held:
        return f"{key} is still held by its budget; raise spec.budget.maxCost"
    if status.phase in (Phase.SUCCEEDED, Phase.FAILED):
        return f"{key} has {status.phase}; a new revision of it is not held any more"
    return f"{key} goes on" + ("" if live else NEXT_RUN) + _file(value)


def _file(value: Object) -> str:
    """What the next look at its file changes."""
    if SUSPEND not in named(value):
        return ""
    return ". Its file names spec.suspend too: change it there, or the file puts it back"


def _retry(store: Store, value: Object, status: Status, token: str, *, live: bool) -> str:
    key = key_of(value)
    if status.retry != token:
        if status.phase is not Phase.FAILED:
            raise Refused(
                f"{key} is {status.phase}; only what has Failed is tried again"
                + (f" (cupola resume {key} goes on)" if status.phase is Phase.SUSPENDED else "")
            )
        if status.artifact is not None:
            raise Refused(
                f"{key} is measured, and a retry measures the same: change its thresholds, or raise "
                "its spec.revision"
            )

        def annotate(new: Object) -> None:
            notes = new["metadata"].get("annotations") or {}
            new["metadata"]["annotations"] = {**notes, labels.RETRY: token}

        _edit(store, value, annotate)
    return (
        f"{key} is tried again{'' if live else NEXT_RUN}; its failed attempts are forgiven, and what "
        "it saved is used"
    )


NEXT_RUN = ", as soon as cupola run works in this work directory again"


def _apply(store: Store, change: Apply, *, live: bool) -> Done:
    resources = [kinds.parse(value) for value in change.resources]
    wrong = refusals(store, resources)
    if wrong:
        raise Refused("\n".join(f"{admission.key(one)}: {said}" for one, said in wrong))
    sentences = []
    for resource in resources:
        key = admission.key(resource)
        before = store.get(key)
        after = _applied(store, resource)
        what = "configured" if before else "created"
        if before and before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]:
            what = "unchanged"
        sentences.append(f"{key} {what}")
    sentences.append(
        "cupola run works on it now."
        if live
        else "Nothing runs yet: cupola run in this work directory works on it."
    )
    return Done(sentences, [admission.key(resource) for resource in resources])


def _applied(store: Store, resource: Resource) -> Object:
    """The resource as stored. While a shell is open, its status may change in between."""
    while True:
        try:
            return store.apply(resource)
        except Conflict:
            continue


def _edit(store: Store, value: Object, edit: Callable[[Object], None]) -> None:
    """Change an object, whatever version it has by now. Raises Refused if it is gone."""
    key, uid = key_of(value), value["metadata"]["uid"]
    while True:
        now = store.get(key)
        if now is None or now["metadata"]["uid"] != uid:
            raise Refused(f"{key} was deleted meanwhile; look with cupola get")
        edit(now)
        try:
            store.replace(now)
        except Conflict:
            continue
        except NotFound:
            raise Refused(f"{key} was deleted meanwhile; look with cupola get") from None
        return
