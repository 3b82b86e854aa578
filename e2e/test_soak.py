"""Kills at random times, of random victims: `make soak`. Seeded, so that a run can be repeated."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from .conftest import SYSTEM
from .harness import ENDS, Bucket, Object, Space, ctl, disturbs, kubectl, model, until
from .undisturbed import ends_as_if_nothing_had_been

pytestmark = [disturbs, pytest.mark.soak, pytest.mark.timeout(1800)]

SEED = 5
RUNS = 5
KILLS = 5
"""A run."""

TOKENS = str(400 * 512)
"""Of 400 steps."""


VICTIMS = ("master", "worker", "PyTorchJob", "operator", "API server")
FORCE = ("--grace-period=0", "--force", "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="module")
def calm(space: Space, training: Callable[..., Object], bucket: Bucket) -> bytes:
    """The model of a run of that length that nothing disturbed."""
    space.apply(training("calm", tokens=TOKENS))
    return model(bucket, space.wait("ptj", "calm", "Succeeded", timeout=600))


def strike(space: Space, name: str, victim: str) -> list[str]:
    """Kill the newest of its kind, if there is one now; what was killed."""
    match victim:
        case "operator":
            kubectl("-n", SYSTEM, "delete", "pod", "-l", "app.kubernetes.io/name=cupola", *FORCE)
            return [victim]
        case "API server":
            ctl("restart", "apiserver")
            return [victim]
        case "PyTorchJob":
            kind, found = "pytorchjob", space.list("pytorchjobs", name)
        case _:
            kind, found = "pod", [p for p in space.list("pods", name) if f"-{victim}-" in of(p)]
    alive = [one for one in found if "deletionTimestamp" not in one["metadata"]]
    newest = sorted(alive, key=lambda one: one["metadata"]["creationTimestamp"])[-1:]
    for one in newest:
        space.run("delete", kind, of(one), *FORCE)
    return [of(one) for one in newest]


def of(value: Object) -> str:
    return str(value["metadata"]["name"])


def storm(space: Space, name: str, dice: random.Random) -> list[str]:
    """Strike at random moments of the life of attempts, until it was enough or the run has ended."""
    struck: list[str] = []
    while len(struck) < KILLS:
        until("an attempt is made", lambda: space.list("pods", name) or ended(space, name))
        time.sleep(dice.uniform(0, 20))
        if ended(space, name):
            break
        struck += strike(space, name, dice.choice(VICTIMS))
    return struck


def ended(space: Space, name: str) -> bool:
    return space.status("ptj", name).get("phase") in ENDS


@pytest.mark.parametrize("number", range(RUNS))
def test_the_bytes_stay_the_same(
    space: Space, training: Callable[..., Object], bucket: Bucket, calm: bytes, number: int
) -> None:
    name = f"storm-{number}"
    recovery = {"maxAttempts": 99, "infrastructure": 99, "unknown": 99}
    space.apply(training(name, tokens=TOKENS, recovery=recovery))
    struck = storm(space, name, random.Random(SEED + number))
    status = space.wait("ptj", name, "Succeeded", timeout=600)
    attempts = status["attempts"]
    print(f"{name}: {', '.join(struck)}; {len(attempts)} attempts, {status['cost']}")
    assert struck
    assert len(attempts) - 1 <= sum(one.startswith(name) for one in struck)
    ends_as_if_nothing_had_been(space, name, bucket, calm, attempts=len(attempts))
