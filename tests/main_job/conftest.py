"""The main job in small: the quickstart's files on a slice of its data, a tiny model and few steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from . import small
from .training import Training

CUPOLA = Path(sys.executable).with_name("cupola")


@dataclass
class Job:
    """A work directory with data in its store, and the commands that a person would type."""

    workdir: Path
    files: Path

    def command(self, *arguments: str) -> list[str]:
        return [str(CUPOLA), *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command("run", "-f", str(self.files), "--workdir", str(self.workdir), *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.workdir.parent,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=280)
        return process.returncode, output

    def get(self, kind: str, name: str) -> dict[str, Any]:
        done = subprocess.run(
            self.command("get", f"{kind}/{name}", "--workdir", str(self.workdir), "-o", "json"),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        items: list[dict[str, Any]] = json.loads(done.stdout)["items"]
        return items[0]

    def artifact(self, kind: str, name: str) -> Path:
        uri = self.get(kind, name)["status"]["artifact"]["uri"]
        assert uri.startswith("file://")
        return Path(uri.removeprefix("file://"))

    def processes(self) -> list[int]:
        """Processes that work for this work directory, the caller's own left out."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                except OSError:
                    continue
                if os.fsencode(self.workdir) in told:
                    found.append(int(entry.name))
        return found


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the quickstart's data, cut to a size for tests."""
    store = tmp_path_factory.mktemp("data")
    small.data(store)
    return store


def _make_job(root: Path, data: Path, values: list[dict[str, Any]]) -> Job:
    job = Job(root / "work", root / "files")
    (job.workdir / "store").mkdir(parents=True)
    subprocess.run(["cp", "-r", f"{data}/.", job.workdir / "store"], check=True)
    job.files.mkdir()
    for number, value in enumerate(values):
        (job.files / f"{number}.yaml").write_text(yaml.safe_dump(value))
    return job


@pytest.fixture(scope="session")
def make_job(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Callable[..., Job]:
    """Makes a job of the first `kinds` kinds of the quickstart, trained for 700 short steps."""

    def make(kinds: int = 4) -> Job:
        return _make_job(tmp_path_factory.mktemp("job"), data, small.resources(700)[:kinds])

    return make


@pytest.fixture(scope="session")
def undisturbed(make_job: Callable[..., Job]) -> Job:
    """The whole chain, run once without disturbance."""
    job = make_job()
    code, output = job.run()
    assert code == 0, output
    return job


@pytest.fixture(scope="session")
def training(make_job: Callable[..., Any]) -> Callable[[str], Training]:
    """Makes PretrainJobs on one Dataset, which is there."""
    job = make_job(2)
    pretrain = job.files / "1.yaml"
    value = yaml.safe_load(pretrain.read_text())
    pretrain.unlink()
    code, output = job.run()
    assert code == 0, output

    def make(name: str) -> Training:
        made = Training(job, name)
        made.file.write_text(yaml.safe_dump({**value, "metadata": {"name": name}}))
        return made

    return make


@pytest.fixture(scope="session")
def reference(training: Callable[[str], Training]) -> bytes:
    """The model of a run that nothing disturbed."""
    quiet = training("quiet")
    code, output = quiet.run()
    assert code == 0, output
    status = quiet.status()
    assert [a["outcome"] for a in status["attempts"]] == ["Succeeded"]
    assert status["cost"]["causes"]["lostWork"] == "0"
    return quiet.model()
