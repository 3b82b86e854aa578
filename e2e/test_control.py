"""What a person changes: hold a run, change it, delete it, run it again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from .conftest import resources
from .harness import Bucket, Failed, Object, Space, is_running, model, until


def gone(space: Space, name: str) -> bool:
    return not any(is_running(pod) for pod in space.list("pods", name))


def test_suspend_saves_stops_the_cost_and_goes_on(
    space: Space, training: Callable[..., Object], bucket: Bucket, reference: bytes
) -> None:
    space.begin(training("held"))
    space.run("patch", "ptj", "held", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    status = space.wait("ptj", "held", "Suspended", timeout=120)
    assert gone(space, "held")
    cost = status["cost"]["accrued"]
    saved = status["attempts"][0]["checkpointStep"]
    assert status["attempts"][0]["outcome"] == "Stopped"
    time.sleep(10)
    assert space.status("ptj", "held")["cost"]["accrued"] == cost
    space.run("patch", "ptj", "held", "--type=merge", "-p", '{"spec":{"suspend":false}}')
    status = space.wait("ptj", "held", "Succeeded")
    assert status["attempts"][1]["resumedStep"] == saved
    assert status["cost"]["causes"]["lostWork"] == "0"
    assert model(bucket, status) == reference


@pytest.mark.parametrize(
    ("field", "value"), [("tokens", '"1M"'), ("seed", "7"), ("datasets", '[{"name":"other"}]')]
)
def test_a_field_of_the_run_cannot_be_changed_alone(
    space: Space, reference: bytes, field: str, value: str
) -> None:
    patch = f'{{"spec":{{"{field}":{value}}}}}'
    with pytest.raises(Failed, match=r"raise spec\.revision|together with spec\.revision"):
        space.run("patch", "ptj", "quiet", "--type=merge", "-p", patch)


def test_a_new_revision_runs_beside_the_old_artifact(
    space: Space, training: Callable[..., Object], bucket: Bucket
) -> None:
    space.apply(training("twice", tokens="20480"))
    first = space.wait("ptj", "twice", "Succeeded")
    space.apply(training("twice", tokens="20480", seed=7, revision=2))
    until(
        "revision 2 is begun",
        lambda: space.status("ptj", "twice").get("run", {}).get("revision") == 2,
    )
    second = space.wait("ptj", "twice", "Succeeded")
    assert first["artifact"]["uri"] != second["artifact"]["uri"]
    assert model(bucket, first) != model(bucket, second)


def test_deleted_and_applied_again_it_ends_at_once_with_the_same_artifact(
    space: Space, training: Callable[..., Object], bucket: Bucket
) -> None:
    value = training("again", tokens="20480")
    space.apply(value)
    first = space.wait("ptj", "again", "Succeeded")
    space.run("delete", "ptj", "again", "--timeout=150s", timeout=180)
    until("its children are gone", lambda: not space.list("pytorchjobs", "again"))
    assert model(bucket, first)
    space.apply(value)
    second = space.wait("ptj", "again", "Succeeded")
    assert second["artifact"] == first["artifact"]


def nothing_is_left(space: Space, name: str) -> None:
    for kind in ("pytorchjobs", "jobs", "pods", "configmaps"):
        until(
            f"no {kind} of {name} is left",
            lambda kind=kind: not space.list(kind, name),
            timeout=120,
        )


@pytest.mark.parametrize("kind", [0, 1, 2, 3], ids=["dset", "ptj", "ft", "eval"])
def test_a_resource_that_waits_is_deleted(make_space: Callable[[str], Space], kind: int) -> None:
    space = make_space("waiting")
    value = resources(50)[kind]
    value["spec"]["suspend"] = True
    space.apply(value)
    name = value["metadata"]["name"]
    space.wait(value["kind"], name, "Suspended" if kind == 0 else space_phase(space, value), 60)
    space.run("delete", value["kind"], name, "--timeout=150s", timeout=180)
    nothing_is_left(space, name)


def space_phase(space: Space, value: Object) -> str:
    """The phase in which it came to rest."""
    status = until("it has a phase", lambda: space.status(value["kind"], value["metadata"]["name"]))
    return str(status["phase"])


def test_a_training_that_runs_is_deleted_and_its_checkpoints_stay(
    space: Space, training: Callable[..., Object], bucket: Bucket
) -> None:
    space.begin(training("dropped"))
    space.run("delete", "ptj", "dropped", "--timeout=150s", timeout=180)
    nothing_is_left(space, "dropped")
    assert bucket.keys(f"store/{space.name}/pretrainjob/dropped/")
    label = "app.kubernetes.io/component=ledger"
    ledgers = json.loads(space.run("get", "configmaps", "-l", label, "-o", "json"))["items"]
    entries = [json.loads(text) for one in ledgers for text in one["data"].values()]
    (closed,) = [one for one in entries if one["name"] == "dropped"]
    assert float(closed["cost"]) > 0
