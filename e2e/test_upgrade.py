"""An upgrade in mid-run changes nothing about the run."""

from __future__ import annotations

from collections.abc import Callable

from .harness import Bucket, Object, Space, model

LONG = 1200
"""Steps: an upgrade takes a while."""


def test_the_operator_is_upgraded_in_mid_run_and_then_a_pod_is_killed(
    cupola: Callable[..., str],
    space: Space,
    training: Callable[..., Object],
    bucket: Bucket,
) -> None:
    tokens = str(LONG * 512)
    space.apply(training("long", tokens=tokens))
    reference = model(bucket, space.wait("ptj", "long", "Succeeded"))
    pods = space.begin(training("upgraded", tokens=tokens))
    before = pods[0]["spec"]["containers"][0]["image"]
    # Another price, another number of threads, another image of trainers, a new operator.
    cupola(
        *("--set", "settings.pools[0].pricePerGpuHour=7.20"),
        *("--set", "settings.pools[0].threadsPerGpu=2"),
        *("--set", "image.trainer=cupola-next"),
        *("--set", "operator.podAnnotations.example\\.com/version=next"),
    )
    try:
        name = pods[-1]["metadata"]["name"]
        space.run("delete", "pod", name, "--grace-period=0", "--force", "--wait=false")
        status = space.wait("ptj", "upgraded", "Succeeded", timeout=300)
        assert model(bucket, status) == reference
        assert len(status["attempts"]) == 2
        now = space.list("pods", "upgraded")
        assert {pod["spec"]["containers"][0]["image"] for pod in now} == {before}
    finally:
        cupola()
