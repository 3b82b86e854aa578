"""What pods print outlives them, in storage."""

from __future__ import annotations

import pytest

from .harness import Bucket, Space


@pytest.mark.usefixtures("reference")
def test_every_pod_of_a_training_leaves_its_whole_log_in_storage(
    space: Space, bucket: Bucket
) -> None:
    uri = space.status("ptj", "quiet")["artifact"]["uri"]
    folder, attempt, _ = uri.rsplit("/", 2)
    for pod in ("quiet-ptj-r1-a1-master-0", "quiet-ptj-r1-a1-worker-0"):
        kept = bucket.read(f"{folder}/logs/{attempt}/{pod}.log").decode()
        assert "cannot be" not in kept
        assert sorted(kept.splitlines()) == sorted(space.run("logs", pod).splitlines())
