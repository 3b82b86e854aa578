"""Events that people make: they change, delete, and take names."""

from __future__ import annotations

from cupola_api.artifact import digest_of
from cupola_operator import names
from cupola_operator.cluster import Key, Object
from cupola_operator.labels import RETRY

from .events import bad, pick
from .simulation import Simulation
from .specs import UPSTREAM, accepts, done, key_of_kind, resource

KINDS = ("Pod", "Job", "PyTorchJob", "ConfigMap")


def _hand(sim: Simulation, value: Object) -> None:
    sim.by_hand.add(value["metadata"]["uid"])
    sim.api.delete(Key(value["kind"], "default", value["metadata"]["name"]))


@bad(1)
def delete_job(sim: Simulation, a: int, b: int) -> str | None:
    jobs = [*sim.api.list("Job").values(), *sim.api.list("PyTorchJob").values()]
    job = pick(jobs, a)
    if job is None:
        return None
    sim.blame["Infrastructure"] += 1
    _hand(sim, job)
    return f"a person deletes {job['metadata']['name']}"


@bad(1)
def delete_pod(sim: Simulation, a: int, b: int) -> str | None:
    pod = pick(list(sim.api.list("Pod").values()), a)
    if pod is None:
        return None
    sim.blame["Infrastructure"] += 1
    _hand(sim, pod)
    return f"a person deletes {pod['metadata']['name']}"


@bad(0.5)
def delete_configmap(sim: Simulation, a: int, b: int) -> str | None:
    runs = [v for v in sim.api.list("ConfigMap").values() if "ownerReferences" in v["metadata"]]
    value = pick(runs, a)
    if value is None:
        return None
    sim.pure = sim.honest = False
    sim.torn = True
    _hand(sim, value)
    return f"a person deletes ConfigMap {value['metadata']['name']}"


@bad(0.3)
def relabel(sim: Simulation, a: int, b: int) -> str | None:
    """Somebody takes the labels of a child away."""
    children = [value for kind in KINDS for value in sim.api.list(kind).values()]
    value = pick(children, a)
    if value is None or value["kind"] == "ConfigMap":
        return None
    labels = dict(value["metadata"]["labels"])
    ours = sorted(name for name in labels if "cupola" in name)
    if not ours:
        return None
    gone = ours[b % len(ours)]
    del labels[gone]
    sim.honest = False
    sim.blame["Hand"] += 1
    sim.by_hand.add(value["metadata"]["uid"])
    sim.relabelled.add(value["metadata"]["uid"])
    sim.api.edit(value, labels=labels)
    return f"a person takes label {gone} from {value['metadata']['name']}"


@bad(0.7)
def stranger(sim: Simulation, a: int, b: int) -> str | None:
    """Somebody has an object of a name that the resource will need."""
    number = len(sim.status.get("attempts", [])) + 1
    revision = sim.resource["spec"].get("revision", 1) if sim.resource else 1
    if a % 2 or sim.kind == "Dataset":
        key = Key("ConfigMap", "default", names.config_map(sim.kind, sim.key.name, revision))
    elif sim.kind == "Evaluation":
        name = names.job(sim.kind, sim.key.name, revision, None, number)
        key = Key("Job", "default", name)
    else:
        name = names.training_job(sim.kind, sim.key.name, revision, number)
        key = Key("PyTorchJob", "default", name)
    if sim.api.get(key):
        return None
    status = {"conditions": [{"type": "Failed", "status": "True"}]}
    metadata = {"name": key.name, "namespace": key.namespace, "labels": {}}
    spec = {"pytorchReplicaSpecs": {}, "completions": 0}
    made = {"kind": key.kind, "metadata": metadata, "spec": spec, "status": status}
    sim.strangers[key] = sim.api.create(made)["metadata"]["uid"]
    sim.nodes.strange.add(key.name)
    return f"a stranger has {key}"


@bad(0.4)
def spoil(sim: Simulation, a: int, b: int) -> str | None:
    """The spec is not valid, as after an upgrade of the API."""
    value = sim.resource
    if value is None or "oops" in value["spec"]:
        return None
    sim.honest = False  # what cannot be read is left alone, and not charged
    sim.api.respec(value, oops=1)
    return "the spec is not valid any more"


@bad(0.7)
def revise(sim: Simulation, a: int, b: int) -> str | None:
    value = sim.resource
    if value is None:
        return None
    revision = value["spec"].get("revision", 1) + 1
    sim.blame.clear()
    sim.pure = False
    sim.api.respec(value, revision=revision)
    return f"a person raises spec.revision to {revision}"


@bad(0.5)
def delete_resource(sim: Simulation, a: int, b: int) -> str | None:
    value = sim.resource
    if value is None:
        return None
    sim.api.delete(sim.key)
    if b % 4 or not value["metadata"].get("finalizers"):
        return "a person deletes the resource"
    for kind in ("Job", "PyTorchJob"):
        for job in sim.api.list(kind).values():
            if job["metadata"]["uid"] not in sim.relabelled:  # by neither, nobody could find it
                sim.api.edit(job, ownerReferences=[])
    return "a person deletes the resource, and leaves its Jobs"


@bad(1)
def recreate(sim: Simulation, a: int, b: int) -> str | None:
    """Delete and create, as git would; or create what was deleted."""
    if sim.resource is not None:
        sim.api.delete(sim.key)
        if sim.resource is not None:
            return "a person deletes the resource"
    sim.blame.clear()
    sim.api.create(resource(sim.kind))
    return "a person creates the resource, anew"


@bad(0.7)
def upstream(sim: Simulation, a: int, b: int) -> str | None:
    """What the resource refers to changes: another artifact, or it is not finished any more."""
    sim.pure = False
    sim.nodes.listing = digest_of(b)
    if not UPSTREAM[sim.kind]:
        return "the source files change"
    other = UPSTREAM[sim.kind][a % len(UPSTREAM[sim.kind])]
    value = sim.api.get(key_of_kind(other))
    if value is None:
        return None
    status = done(other, 2 + b % 3)["status"]
    if b % 7 == 6:
        sim.api.delete(key_of_kind(other))
        return f"{other} is deleted"
    if b % 2:
        status = {**value["status"], "phase": "Running"}
    sim.api.put({**value, "status": status})
    return f"{other} {'runs again' if b % 2 else 'has another artifact'}"


@bad(1.5)
def suspend(sim: Simulation, a: int, b: int) -> str | None:
    value = sim.resource
    if value is None or not accepts(sim.kind, "suspend"):
        return None
    sim.blame["Suspend"] += 1
    on = not value["spec"].get("suspend")
    sim.api.respec(value, suspend=on or None)
    return f"a person {'suspends' if on else 'resumes'} the run"


@bad(1)
def budget(sim: Simulation, a: int, b: int) -> str | None:
    value = sim.resource
    if value is None or not accepts(sim.kind, "budget"):
        return None
    most = ["0.01", "0.5", "5", "100"][a % 4]
    what = ["Suspend", "Suspend", "Fail"][b % 3]
    if what == "Fail":
        sim.blame["Hand"] += 1
    sim.api.respec(value, budget={"maxCost": most, "onExceeded": what})
    return f"a person sets a budget of {most}, then {what}"


@bad(0.5)
def deadline(sim: Simulation, a: int, b: int) -> str | None:
    value = sim.resource
    if value is None or not accepts(sim.kind, "deadline"):
        return None
    span = ["1s", "1m", "1h", "1d"][a % 4]
    sim.blame["Hand"] += 1
    sim.api.respec(value, deadline=span)
    return f"a person sets a deadline of {span}"


@bad(1)
def retry(sim: Simulation, a: int, b: int) -> str | None:
    value = sim.resource
    if value is None or not accepts(sim.kind, "recovery"):
        return None
    notes = {**value["metadata"].get("annotations", {}), RETRY: f"t{a % 3}"}
    sim.api.edit(value, annotations=notes)
    return f"a person annotates cupola.dev/retry: t{a % 3}"
