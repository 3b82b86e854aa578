"""Policies: what a resource may use of the installation, and what its pods can reach."""

from __future__ import annotations

from cupola_api.common import Resource
from cupola_api.dataset import Dataset
from cupola_api.evaluation import Evaluation
from cupola_operator.build.synthetic import endpoint_key
from cupola_operator.decide.resolve import FIRST
from cupola_operator.decide.verdict import Verdict, stalled
from cupola_operator.world import World


def unreachable(world: World) -> Verdict | None:
    """A place that the pods of this installation cannot reach is Stalled: PlaceUnreachable.

    file:/// is a folder of one machine, which the pods of a cluster do not share; pvc:// is a claim
    of a cluster, which one machine does not have.
    """
    if _resolved(world) or world.resource is None:
        return None
    local = world.settings.is_local
    for path, uri in _places(world.resource):
        if uri.startswith("file:///") and not local:
            return stalled(
                "PlaceUnreachable",
                f"{path}: {uri} is a folder of one machine, which the pods of a cluster do not share; "
                "copy it to the store and write store:///path, or s3:// or pvc://",
            )
        if uri.startswith("pvc://") and local:
            return stalled(
                "PlaceUnreachable",
                f"{path}: {uri} is in a PersistentVolumeClaim, which this machine does not have; "
                "write file:///path or store:///path",
            )
    return None


def not_allowed(world: World) -> Verdict | None:
    """What spec.podTemplate names must be allowed: said before anything is waited for."""
    return None if _resolved(world) else forbidden(world)


def forbidden(world: World) -> Verdict | None:
    """A service account or Secret that the installation does not allow is Stalled: NotAllowed.

    It counts when an attempt starts; what runs is left alone.
    """
    template = world.resource.spec.pod_template if world.resource else None
    allowed = world.settings.allowed
    key = None if world.settings.is_local else endpoint_key(world)
    if key and key.name not in allowed.secrets:
        return _barred(
            "spec.sources: synthetic.model.endpoint.key", f"Secret {key.name}", allowed.secrets
        )
    if template is None:
        return None
    account = template.service_account_name
    if account and account not in allowed.service_accounts:
        return _barred(
            "spec.podTemplate.serviceAccountName",
            f"service account {account}",
            allowed.service_accounts,
        )
    for name in template.env_from_secrets:
        if name not in allowed.secrets:
            return _barred("spec.podTemplate.envFromSecrets", f"Secret {name}", allowed.secrets)
    return None


def _barred(field: str, what: str, allowed: list[str]) -> Verdict:
    known = f"it allows {', '.join(allowed)}" if allowed else "it allows none"
    return stalled(
        "NotAllowed",
        f"{field}: this installation does not allow {what}; {known}. Name another, or "
        "have it added to `allowed` in the settings",
    )


def _resolved(world: World) -> bool:
    return world.is_resolved() or any(map(world.is_resolved, FIRST))


def _places(resource: Resource) -> list[tuple[str, str]]:
    """(field path, URI) of every place that a spec names, in its order."""
    spec = resource.spec
    found: list[tuple[str, str]] = []
    match resource:
        case Dataset(spec=data):
            found += [
                (f"spec.sources[{i}].uri", one.uri) for i, one in enumerate(data.sources) if one.uri
            ]
            found += [(f"spec.curation ({one.name})", one.uri) for one in data.curation.files()]
            if data.tokenizer.uri:
                found.append(("spec.tokenizer.uri", data.tokenizer.uri))
        case Evaluation(spec=measure):
            for i, task in enumerate(measure.tasks):
                if task.harness:
                    found.append((f"spec.tasks[{i}].harness.data", task.harness.data))
    return [*found, *([("spec.output", str(spec.output))] if spec.output else [])]
