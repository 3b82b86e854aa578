"""Pods that ask an endpoint are ended at any moment: what was answered is paid for once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from cupola_api.artifact import Artifact
from cupola_api.outcome import OutcomeKind, read
from cupola_api.run import GenerateRun
from cupola_trainer import storage
from cupola_trainer.curate import work
from cupola_trainer.curate.synthetic import answers

from .conftest import Reply

SEED, KILLS = 7, 24


class Pod:
    """A pod of a run as a process of its own."""

    def __init__(self, folder: Path, run: GenerateRun) -> None:
        file = folder / "run.yaml"
        file.write_text(yaml.safe_dump(run.model_dump(mode="json", by_alias=True)))
        self._said = folder / "said"
        self._said.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cupola_trainer", "curate", str(file), "--stage", "generate"],
            env={
                **os.environ,
                "JOB_COMPLETION_INDEX": "0",
                "TERMINATION_LOG": str(self._said),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def end(self) -> Any:
        """Wait for its end; what it said last, if anything."""
        self.printed, _ = self.process.communicate(timeout=120)
        return read(self._said.read_text()) if self._said.exists() else None


def kept(run: GenerateRun) -> int:
    """Answers that lie in storage."""
    place = answers.place(run)
    assert isinstance(place, Path)
    pieces = [*place.glob("*/answers.jsonl.zst")] if place.exists() else []
    return len({one.key for piece in pieces for one in answers._read(piece.parent)})


def published(run: GenerateRun) -> tuple[Artifact, dict[str, str]]:
    manifest, artifact = storage.check(work.artifact_folder(run))
    return artifact, {file.path: file.sha256 for file in manifest.files}


def test_sigterm_keeps_what_was_answered_and_what_is_answered_soon(
    make: Any, service: Any, tmp_path: Path
) -> None:
    good, ended = service.reply, threading.Event()

    def reply(body: dict[str, Any], before: int) -> Reply:
        if len(service.asked) > 6:
            ended.wait(20)  # the last four are under way when the pod is ended
        return good(body, before)

    service.reply = reply
    run = make(concurrency=4)
    pod = Pod(tmp_path, run)
    deadline = time.monotonic() + 60
    while len(service.asked) < 10 and time.monotonic() < deadline:
        time.sleep(0.01)
    pod.process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    ended.set()
    outcome = pod.end()
    assert (outcome.outcome, pod.process.returncode) == (OutcomeKind.STOPPED, 143), pod.printed
    assert kept(run) == len(service.asked) >= 10
    assert Pod(tmp_path, run).end().synthetic.made == 20
    assert len(service.asked) == 20, "none is asked for twice"


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_kills_change_no_byte_and_cost_only_the_answers_that_were_under_way(
    make: Any, service: Any, tmp_path: Path
) -> None:
    draw = random.Random(SEED)
    good = service.reply

    def slow(body: dict[str, Any], before: int) -> Reply:
        time.sleep(random.Random(json.dumps(body)).uniform(0.01, 0.1))
        return good(body, before)

    service.reply = slow
    fields = {"documents": 400, "concurrency": 4}
    whole = make(**fields, output=(tmp_path / "whole").as_uri())
    assert Pod(tmp_path, whole).end().synthetic.made == 400
    _, expected = published(whole)
    kills = runs = twice = 0
    while kills < KILLS:
        run = make(**fields, output=(tmp_path / f"killed{runs}").as_uri())
        service.asked.clear()
        killed = 0
        while (pod := Pod(tmp_path, run)) and killed < 4:
            time.sleep(draw.uniform(0.3, 4))
            if pod.process.poll() is not None:
                break
            pod.process.kill()
            pod.end()
            killed += 1
            assert len(service.asked) - kept(run) <= killed * run.concurrency
        assert pod.end().synthetic.made == 400
        assert published(run)[1] == expected
        assert len(service.asked) - 400 <= killed * run.concurrency
        twice += len(service.asked) - 400
        kills += killed
        runs += 1
    print(f"{kills} kills in {runs} runs: {twice} answers of {runs * 400} asked for again")
