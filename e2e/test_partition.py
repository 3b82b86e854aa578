"""A worker that the network does not reach, but that goes on writing to storage."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from .harness import Bucket, Object, Space, ctl, disturbs, is_running, until
from .undisturbed import ends_as_if_nothing_had_been

WORKER = "cut-off-ptj-r1-a1-worker-0"


@pytest.fixture
def mended() -> Iterator[None]:
    yield
    ctl("mend")


@disturbs
@pytest.mark.usefixtures("mended")
def test_a_worker_is_cut_off_and_goes_on_writing(
    space: Space, training: Callable[..., Object], bucket: Bucket, reference: bytes
) -> None:
    """The gang hangs; each of its pods ends by itself, also the one that nobody reaches."""
    space.begin(training("cut-off", stability={"hangTimeout": "30s"}))
    ctl("cut", f"{space.name}/{WORKER}", "--keep-s3")
    attempt = until(
        "the first attempt has ended",
        lambda: next(
            (a for a in space.status("ptj", "cut-off")["attempts"] if a.get("outcome")), None
        ),
        timeout=150,
    )
    assert (attempt["outcome"], attempt["reason"]) == ("Lost", "Hung")
    assert re.search(
        r"made no progress for 30s: it was at (the checkpoint of )?step \d+", attempt["message"]
    )
    until(
        "the pod that was cut off has ended",
        lambda: not (pod := space.get("pod", WORKER)) or not is_running(pod),
    )
    ctl("mend")
    status = ends_as_if_nothing_had_been(space, "cut-off", bucket, reference, attempts=2)
    assert [a["outcome"] for a in status["attempts"]] == ["Lost", "Succeeded"]
    assert status["attempts"][1]["resumedStep"] > 0
