"""Fifty kills of the pods of Datasets, at random times: `make soak`. Seeded, to be repeated."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cupola_api import run as contract
from cupola_api.artifact import MANIFEST
from cupola_api.run import CurateRun
from cupola_trainer import storage
from cupola_trainer.curate import work
from cupola_trainer.storage import S3Place, place_of, s3

from .planted import document

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

SEED = 7
KILLS = 25
"""Where work is on a disk, and as many where it is in a bucket."""
CURATION = {
    "quality": {"skip": ["stop-words"]},
    "pii": {},
    "dedup": {"similarity": 0.8, "lines": {"minLeft": 20}},
}


class Pod(NamedTuple):
    """A stage, or an index of it."""

    stage: str
    index: int


def pods(run: CurateRun) -> list[Pod]:
    counts = {"clean": run.parts, "dedup": run.ranges, "tokenise": run.parts, "publish": 1}
    return [Pod(stage, index) for stage, count in counts.items() for index in range(count)]


def start(file: Path, pod: Pod) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cupola_trainer", "curate", str(file), "--stage", pod.stage],
        env={
            **os.environ,
            "JOB_COMPLETION_INDEX": str(pod.index),
            "TERMINATION_LOG": str(file.with_suffix(".said")),
            "POLARS_MAX_THREADS": "1",
            "RAYON_NUM_THREADS": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finish(file: Path, pod: Pod) -> float:
    """Let a pod do its work; returns the seconds."""
    begun = time.monotonic()
    process = start(file, pod)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said.decode()
    return time.monotonic() - begun


def sealed(run: CurateRun) -> dict[str, object]:
    """What was made so far, and when: changed if it were made again."""
    folder = place_of(run.folder)
    if isinstance(folder, S3Place):
        found = [one.path for one in s3.below(folder) if one.path.endswith(f"/{MANIFEST}")]
        return {path: s3.read(folder / path)[1] for path in found}
    paths = [path for path in folder.rglob(MANIFEST) if not path.parent.name.startswith(".")]
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in paths
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def nothing_was_made_again(before: dict[str, object], run: CurateRun) -> bool:
    """Whether all is as before; what the Dataset was made from may go when that is there."""
    now, dataset = sealed(run), f"artifact/{MANIFEST}"
    if dataset in now:
        return before.get(dataset, now[dataset]) == now[dataset]
    return before.items() <= now.items()


def files(run: CurateRun) -> dict[str, str]:
    manifest, _ = storage.check(work.artifact_folder(run))
    return {file.path: file.sha256 for file in manifest.files}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Half a megabyte in three parts, with copies of all kinds in it."""
    monkeypatch.setattr("cupola_trainer.curate.listing._LEAST", 1)
    monkeypatch.setattr("cupola_trainer.curate.listing._MOST", 1)
    draw = random.Random(SEED)
    menu = "Home, products, about us, contact, terms and conditions of use."
    folder = tmp_path / "web"
    folder.mkdir()
    for file in range(3):
        texts = [f"{document(draw, 120)}.\n{menu}\nMail to ann{i}@mail.org." for i in range(150)]
        texts += [texts[0], texts[1].replace(" ", "  "), texts[2].replace("Mail to", "Write to")]
        lines = [json.dumps({"text": text}) for text in texts]
        (folder / f"{file}.jsonl").write_text("\n".join([*lines, "{broken"]))
    return {"name": "web", "uri": folder.as_uri(), "format": "Jsonl"}


@pytest.mark.parametrize("where", ["disk", "bucket"])
def test_kills_change_no_byte_and_repeat_no_index_but_that_one(
    pipeline: Any, source: Any, tmp_path: Path, where: str, request: pytest.FixtureRequest
) -> None:
    draw = random.Random(f"{SEED} {where}")
    file = tmp_path / "run.yaml"
    root = request.getfixturevalue("bucket") if where == "bucket" else tmp_path.as_uri()

    def new(name: str) -> CurateRun:
        pipeline.output = place_of(f"{root}/{name}")
        run = pipeline.listed([source], curation=CURATION, documents=True)
        file.write_text(contract.dump(run))
        assert isinstance(run, CurateRun)
        return run

    run = new("whole")
    takes = {pod: finish(file, pod) for pod in pods(run)}
    expected = files(run)
    struck: list[str] = []
    rounds = 0
    while len(struck) < KILLS:
        rounds += 1
        run = new(f"round-{rounds}")
        for pod in pods(run):
            while len(struck) < KILLS and draw.random() < 0.5:
                before = sealed(run)
                process = start(file, pod)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(draw.uniform(0.2, 1.1) * takes[pod])
                ended = process.poll() is not None
                if not ended:
                    os.killpg(process.pid, signal.SIGKILL)
                    struck.append(f"{pod.stage} {pod.index}")
                process.communicate(timeout=60)
                assert nothing_was_made_again(before, run)
                if ended:
                    break
            before = sealed(run)
            finish(file, pod)
            assert nothing_was_made_again(before, run)
        assert files(run) == expected
    print(f"\n{where}: {len(struck)} kills in {rounds} runs: {struck}")
    assert len(struck) == KILLS
