"""How a run ends that was disturbed: as its undisturbed twin did, with the same bytes."""

from __future__ import annotations

from .harness import OURS, Bucket, Object, Space, creates, is_running, model, until

CHILDREN = {"configmaps", "pytorchjobs"}
"""What the operator makes for a training."""


def ends_as_if_nothing_had_been(
    space: Space, name: str, bucket: Bucket, reference: bytes, attempts: int
) -> Object:
    """The run has Succeeded with the same bytes; every child was made once, and no pod is left."""
    status = space.wait("ptj", name, "Succeeded", timeout=300)
    assert model(bucket, status) == reference
    assert len(status["attempts"]) == attempts, status["attempts"]
    if OURS:
        made = creates(space, CHILDREN, name)
        assert set(made.values()) == {1}, made
        assert sum(key.startswith("pytorchjobs/") for key in made) == attempts
    until(
        f"no pod of {name} runs",
        lambda: not any(is_running(pod) for pod in space.list("pods", name)),
        timeout=60,
    )
    return status
