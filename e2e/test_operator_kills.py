"""The operator dies before and after every kind of write: the run ends as if it never had."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from .conftest import SYSTEM
from .harness import Bucket, Object, Space
from .killing import Write, operator_outside
from .undisturbed import ends_as_if_nothing_had_been

WRITES = {
    "a ConfigMap is created": ("POST", r"/configmaps\b"),
    "a PyTorchJob is created": ("POST", r"/pytorchjobs\b"),
    "a status is replaced": ("PUT", r"/pretrainjobs/killed/status\b"),
}


def test_killed_before_and_after_each_write(
    space: Space,
    training: Callable[..., Object],
    bucket: Bucket,
    reference: bytes,
    tmp_path: Path,
) -> None:
    left = {(what, moment) for what in WRITES for moment in ("before", "after")}
    struck: list[tuple[str, str]] = []

    def kill(write: Write) -> str:
        method, path = write
        for what, (verb, pattern) in WRITES.items():
            if method == verb and re.search(pattern, path):
                for moment in ("before", "after"):
                    if (what, moment) in left:
                        left.discard((what, moment))
                        struck.append((what, moment))
                        return moment
        return ""

    with operator_outside(tmp_path, SYSTEM, kill):
        space.apply(training("killed"))
        ends_as_if_nothing_had_been(space, "killed", bucket, reference, attempts=1)
    assert not left, (left, struck)
