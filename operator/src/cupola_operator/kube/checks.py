"""Whether the installation is whole: which CRDs and permissions are missing, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

from cupola_api.kinds import KINDS
from cupola_operator.cluster import ClusterError
from cupola_operator.kube import sentences
from cupola_operator.kube.api import Api, Request
from cupola_operator.kube.places import PLACES, TRAINING_JOB, WATCHED


class Need(NamedTuple):
    """Permissions on one kind."""

    kind: str
    verbs: tuple[str, ...]
    subresource: str = ""


_WATCH = ("get", "list", "watch")

NEEDS: tuple[Need, ...] = (
    *(Need(kind, (*_WATCH, "patch")) for kind in KINDS),
    *(Need(kind, ("update",), "status") for kind in KINDS),
    Need(TRAINING_JOB, (*_WATCH, "create", "delete")),
    Need("Job", (*_WATCH, "create", "delete")),
    Need("Pod", _WATCH),
    Need("ConfigMap", ("get", "list", "create", "update")),
    Need("Event", ("get", "create", "patch")),
)
"""What the operator does in the namespaces it serves."""

LEASE = Need("Lease", ("get", "create", "update"))
"""What it does in its own namespace."""


@dataclass(frozen=True)
class Installation:
    """What was found. Sentences say what is missing and how to put it right."""

    missing: tuple[str, ...] = ()
    """Without these the operator cannot do its work."""
    lacking: tuple[str, ...] = ()
    """Without these it does a part of its work."""
    watchable: frozenset[str] = field(default_factory=frozenset)
    """Kinds that are there and may be watched."""

    @property
    def whole(self) -> bool:
        """Whether nothing is missing at all."""
        return not self.missing and not self.lacking


def inspect(api: Api, namespaces: Sequence[str], own_namespace: str) -> Installation:
    """Look what is missing. `namespaces`: those that are served; none means all of them."""
    try:
        absent = _absent(api)
        served = [*namespaces] or [""]
        denied = {
            (need, namespace): verbs
            for namespace in served
            for need in NEEDS
            if need.kind not in absent and (verbs := _denied(api, need, namespace))
        }
        if verbs := _denied(api, LEASE, own_namespace):
            denied[LEASE, own_namespace] = verbs
    except ClusterError as error:
        return Installation(missing=(str(error),))
    unwatchable = {need.kind for (need, _), verbs in denied.items() if {*verbs} & {*_WATCH}}
    return Installation(
        missing=(
            *(sentences.kind_missing(kind) for kind in absent if kind != TRAINING_JOB),
            *(
                sentences.forbidden(
                    verbs, PLACES[need.kind], namespace=namespace, subresource=need.subresource
                )
                for (need, namespace), verbs in denied.items()
            ),
        ),
        lacking=tuple(sentences.kind_missing(kind) for kind in absent if kind == TRAINING_JOB),
        watchable=frozenset(WATCHED) - {*absent} - unwatchable,
    )


def _absent(api: Api) -> list[str]:
    """The kinds of WATCHED that the cluster does not know."""
    known: dict[str, set[str]] = {}
    for kind in WATCHED:
        root = PLACES[kind].root
        if root not in known:
            answer = api.ask(Request("get", "", root))
            if not answer.ok and answer.code != HTTPStatus.NOT_FOUND:
                raise ClusterError(f"the API server does not list {root}: {answer.message}")
            known[root] = {found["name"] for found in answer.value.get("resources") or []}
    return [kind for kind in WATCHED if PLACES[kind].plural not in known[PLACES[kind].root]]


def _denied(api: Api, need: Need, namespace: str) -> list[str]:
    """The verbs of a need that are not allowed."""
    return [verb for verb in need.verbs if not _allowed(api, need, verb, namespace)]


def _allowed(api: Api, need: Need, verb: str, namespace: str) -> bool:
    place = PLACES[need.kind]
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {
            "resourceAttributes": {
                "namespace": namespace,
                "verb": verb,
                "group": place.group,
                "resource": place.plural,
                "subresource": need.subresource,
            }
        },
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = api.ask(Request("create", "selfsubjectaccessreviews", path, body=review))
    if not answer.ok:
        raise ClusterError(f"the API server does not say what is allowed: {answer.message}")
    return bool((answer.value.get("status") or {}).get("allowed"))
