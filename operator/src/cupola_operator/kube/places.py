"""Where the kinds that Cupola touches are in the REST API of Kubernetes."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from cupola_api import GROUP, VERSION
from cupola_api.kinds import KINDS


class Place(NamedTuple):
    """A resource of the API: what a kind is called in paths, in permissions and in metrics."""

    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        """As written in objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """As kubectl and CRDs write it: `pytorchjobs.kubeflow.org`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def root(self) -> str:
        """The path of its group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path of an object, or of all objects; no namespace means all namespaces."""
        parts = ["namespaces", namespace] if namespace else []
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join([self.root, *(quote(part, safe="") for part in parts)])


TRAINING_JOB = "PyTorchJob"
"""The kind that the Kubeflow training operator brings."""

PLACES: dict[str, Place] = {
    **{kind: Place(GROUP, VERSION, type_.plural) for kind, type_ in KINDS.items()},
    TRAINING_JOB: Place("kubeflow.org", "v1", "pytorchjobs"),
    "Job": Place("batch", "v1", "jobs"),
    "Pod": Place("", "v1", "pods"),
    "ConfigMap": Place("", "v1", "configmaps"),
    "Event": Place("", "v1", "events"),
    "Node": Place("", "v1", "nodes"),
    "Lease": Place("coordination.k8s.io", "v1", "leases"),
}
"""By kind."""

WATCHED = (*KINDS, TRAINING_JOB, "Job", "Pod")
"""The kinds whose changes wake resources; of the last three only what Cupola made is watched."""

CHILDREN = (TRAINING_JOB, "Job", "Pod")
"""Those of WATCHED that are watched by label."""
