from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cupola_api import metrics
from cupola_trainer.curate import progress as module
from cupola_trainer.curate.progress import Progress

from .conftest import Pipeline

ADDRESS = "127.83.41.7"


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A pod with an address of its own, in which a line is due at once."""
    monkeypatch.setenv("POD_IP", ADDRESS)
    monkeypatch.setattr(module, "SECONDS", 0.0)
    module._meter.cache_clear()
    yield
    meter = module._meter()
    if meter:
        meter.__exit__(None, None, None)
    module._meter.cache_clear()


def page() -> str:
    connection = http.client.HTTPConnection(ADDRESS, metrics.PORT, timeout=5)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@pytest.mark.usefixtures("pod")
def test_what_a_part_came_to_is_served_and_said() -> None:
    progress = Progress("clean 3")
    progress.reach(12, 3400, 0.25, 99)
    progress.add(12, 4000)
    said = page()
    for line in (
        f"{metrics.CURATED_DOCUMENTS} 12.0",
        f"{metrics.CURATED_BYTES} 3400.0",
        f"{metrics.PROGRESS} 0.25",
        f"{metrics.STAGE_DOCUMENTS} 99.0",
    ):
        assert line in said.splitlines()


def test_a_port_that_is_taken_ends_no_pod(
    pod: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del pod
    monkeypatch.setenv("POD_IP", "192.0.2.1")  # of nobody: reserved for documentation
    progress = Progress("clean 3")
    progress.reach(12, 3400, 0.25)
    progress.add(12, 4000)
    assert "warning: no metrics are served" in capsys.readouterr().out


@pytest.mark.usefixtures("pod")
def test_a_task_without_a_part_serves_nothing() -> None:
    Progress("list").add(1, 1)
    assert module._meter.cache_info().currsize == 0


def test_pods_say_at_their_end_what_they_worked_on(
    pipeline: Pipeline, sources: list[dict[str, Any]], tmp_path: Path
) -> None:
    run = pipeline.listed(sources)
    cleaned = [pipeline.stage(run, "clean", part).worked for part in range(run.parts)]
    size = sum(path.stat().st_size for path in (tmp_path / "data").rglob("*.*"))
    assert sum(one.bytes for one in cleaned if one) == size
    again = [pipeline.stage(run, "clean", part).worked for part in range(run.parts)]
    assert again == cleaned
    pipeline.dedup(run)
    tokenised = [pipeline.stage(run, "tokenise", part).worked for part in range(run.parts)]
    summary = pipeline.stage(run, "publish").dataset
    assert summary
    assert sum(one.documents for one in cleaned if one) == summary.documents_read
    assert sum(one.documents for one in tokenised if one) == summary.documents_kept
