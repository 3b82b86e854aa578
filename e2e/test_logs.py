"""What pods print outlives them, in storage."""

from __future__ import annotations

from collections.abc import Callable

from .harness import Bucket, Object, Space, model


def test_every_pod_of_a_training_leaves_its_whole_log_in_storage(
    space: Space, training: Callable[..., Object], bucket: Bucket, reference: bytes
) -> None:
    space.apply(training("logged"))
    status = space.wait("ptj", "logged", "Succeeded", timeout=300)
    assert model(bucket, status) == reference
    folder, attempt, _ = status["artifact"]["uri"].rsplit("/", 2)
    for pod in ("logged-ptj-r1-a1-master-0", "logged-ptj-r1-a1-worker-0"):
        kept = bucket.read(f"{folder}/logs/{attempt}/{pod}.log").decode()
        assert "cannot be" not in kept
        assert sorted(kept.splitlines()) == sorted(space.run("logs", pod).splitlines())
