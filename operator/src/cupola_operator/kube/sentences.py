"""What is missing in a cluster, as sentences: what, where, and the remedy."""

from __future__ import annotations

from collections.abc import Sequence

from cupola_operator.kube.places import PLACES, TRAINING_JOB, Place

TRAINING_OPERATOR = (
    "kubectl apply --server-side -k "
    '"github.com/kubeflow/trainer.git/manifests/overlays/standalone?ref=v1.9.4"'
)
"""How the training operator is installed."""


def kind_missing(kind: str) -> str:
    """The cluster does not know a kind."""
    crd = PLACES[kind].full_name
    if kind == TRAINING_JOB:
        return (
            f"the CRD {crd} is missing, so PretrainJobs and FineTunes cannot train; install the "
            f"Kubeflow training operator v1: {TRAINING_OPERATOR}"
        )
    return f"the CRD {crd} is missing; install Cupola's CRDs: kubectl apply -f crds/"


def forbidden(verbs: Sequence[str], place: Place, *, namespace: str, subresource: str = "") -> str:
    """The operator has not a permission; no namespace means all of them."""
    where = f"in namespace {namespace}" if namespace else "in all namespaces"
    what = place.full_name if not subresource else f"{place.plural}/{subresource}"
    if subresource and place.group:
        what += f".{place.group}"
    return (
        f"the operator may not {', '.join(verbs)} {what} {where}; give its service account the "
        "rules of Cupola's chart"
    )
