"""Whatever is killed, cut off or taken away: the run ends as its undisturbed twin did, same bytes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import suppress

from .conftest import SYSTEM
from .harness import (
    OURS,
    Bucket,
    Failed,
    Object,
    Space,
    creates,
    ctl,
    disturbs,
    kubectl,
    model,
    ready,
    until,
)
from .undisturbed import CHILDREN, ends_as_if_nothing_had_been


def test_a_pod_of_the_master_is_deleted(
    space: Space, training: Callable[..., Object], bucket: Bucket, reference: bytes
) -> None:
    space.begin(training("no-master"))
    space.run("delete", "pod", "no-master-ptj-r1-a1-master-0", "--wait=false")
    status = ends_as_if_nothing_had_been(space, "no-master", bucket, reference, attempts=2)
    assert status["attempts"][1]["resumedStep"] > 0


def test_a_pod_of_a_worker_is_killed(
    space: Space, training: Callable[..., Object], bucket: Bucket, reference: bytes
) -> None:
    space.begin(training("no-worker"))
    space.run(
        *("delete", "pod", "no-worker-ptj-r1-a1-worker-0", "--grace-period=0", "--force"),
        "--wait=false",
    )
    ends_as_if_nothing_had_been(space, "no-worker", bucket, reference, attempts=2)


def test_the_pytorchjob_is_deleted_while_it_runs(
    space: Space, training: Callable[..., Object], bucket: Bucket, reference: bytes
) -> None:
    space.begin(training("no-job"))
    space.run("delete", "pytorchjob", "no-job-ptj-r1-a1", "--wait=false")
    ends_as_if_nothing_had_been(space, "no-job", bucket, reference, attempts=2)


def test_the_pytorchjob_is_deleted_after_the_end(
    space: Space, reference: bytes, bucket: Bucket
) -> None:
    space.run("delete", "pytorchjob", "quiet-ptj-r1-a1", "--ignore-not-found")
    space.run("annotate", "ptj", "quiet", "example.com/look=again", "--overwrite")
    until(
        "the operator looked again",
        lambda: space.status("ptj", "quiet").get("phase") == "Succeeded",
    )
    kubectl("-n", SYSTEM, "rollout", "restart", "deployment/cupola-operator")
    kubectl("-n", SYSTEM, "rollout", "status", "deployment/cupola-operator", timeout=120)
    assert space.get("pytorchjob", "quiet-ptj-r1-a1") is None
    if OURS:
        assert creates(space, CHILDREN, "quiet")["pytorchjobs/quiet-ptj-r1-a1"] == 1
    assert model(bucket, space.status("ptj", "quiet")) == reference


@disturbs
def test_the_api_server_is_killed(
    space: Space, training: Callable[..., Object], bucket: Bucket, reference: bytes
) -> None:
    space.begin(training("no-api"))
    ctl("restart", "apiserver")
    ends_as_if_nothing_had_been(space, "no-api", bucket, reference, attempts=1)


def test_the_operator_is_killed_in_mid_run(
    space: Space, training: Callable[..., Object], bucket: Bucket, reference: bytes
) -> None:
    space.apply(training("no-operator"))
    space.running("ptj", "no-operator", 2)
    kubectl(
        *("-n", SYSTEM, "delete", "pod", "-l", "app.kubernetes.io/name=cupola"),
        *("--grace-period=0", "--force"),
    )
    ends_as_if_nothing_had_been(space, "no-operator", bucket, reference, attempts=1)


EAT = """
import os, time
for _ in range(7):
    if os.fork() == 0:
        kept = bytearray()
        while len(kept) < 400_000_000:
            kept += b"x" * 10_000_000
            time.sleep(0.05)
        time.sleep(60)
time.sleep(60)
"""
"""Takes more memory than a pod may have, in processes that are smaller than the trainer: the kernel
ends the largest."""


def test_a_container_is_killed_for_memory(
    space: Space, training: Callable[..., Object], bucket: Bucket, reference: bytes
) -> None:
    pods = space.begin(training("no-memory"))
    with suppress(Failed, subprocess.TimeoutExpired):
        space.run("exec", pods[0]["metadata"]["name"], "--", "python", "-c", EAT, timeout=60)
    status = space.wait("ptj", "no-memory", "Succeeded", timeout=300)
    assert model(bucket, status) == reference
    assert status["attempts"][0]["reason"] == "OOMKilled"


def test_an_image_that_does_not_exist_says_so(
    cupola: Callable[..., str], space: Space, training: Callable[..., Object]
) -> None:
    cupola("--set", "image.trainer=cupola-nothing")
    try:
        space.apply(training("no-image"))
        status = space.wait("ptj", "no-image", "Stalled", timeout=180)
        assert "cupola-nothing" in ready(status)
    finally:
        cupola()
    space.run("delete", "ptj", "no-image", "--timeout=150s", timeout=180)


def test_a_pool_without_nodes_says_so_and_costs_nothing(
    space: Space, training: Callable[..., Object]
) -> None:
    space.apply(training("no-room", pools=["nowhere"]))
    status = until(
        "it says that no node has room",
        lambda: (s := space.status("ptj", "no-room")) and "Unschedulable" in ready(s) and s,
        timeout=120,
    )
    assert status.get("cost", {}).get("accrued", "0") == "0"
    space.run("delete", "ptj", "no-room", "--timeout=150s", timeout=180)


def test_the_next_pool_is_taken_when_the_first_has_no_room(
    space: Space, training: Callable[..., Object], bucket: Bucket, reference: bytes
) -> None:
    space.apply(training("fail-over", pools=["nowhere", "cpu"]))
    status = space.wait("ptj", "fail-over", "Succeeded", timeout=300)
    assert model(bucket, status) == reference
