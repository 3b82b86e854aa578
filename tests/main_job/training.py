"""A PretrainJob with real pods, watched and disturbed from outside."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

SLOTS = 2
PRICE = Decimal("0.05") / 3600
"""Of a slot second, in the built-in settings."""

TOLERANCE = 3
"""Seconds by which times in whole seconds, a look a second, and the test's own clock may differ."""


@dataclass
class Training:
    """A PretrainJob of its own name in the work directory that all these tests share."""

    job: Any
    name: str

    @property
    def file(self) -> Path:
        return Path(self.job.files / f"{self.name}.yaml")

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.job.command(
                "run", "-f", str(self.file), "--workdir", str(self.job.workdir), "--slots", "2"
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.job.workdir.parent,
        )

    def run(self) -> tuple[int, str]:
        process = self.start()
        output, _ = process.communicate(timeout=280)
        return process.returncode, output

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            self.job.command(*arguments, "--workdir", str(self.job.workdir)),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.job.get("PretrainJob", self.name)["status"]
        return status

    def checkpoint(self, attempt: int = 1) -> tuple[int, float]:
        """Step of the newest whole checkpoint of an attempt, and when it was complete; (0, 0) if none."""
        found = [(0, 0.0)]
        folder = self.job.workdir / f"store/default/pretrainjob/{self.name}"
        for path in folder.glob(f"*/a{attempt}-*/checkpoints/step-*/manifest.json"):
            try:
                found.append((int(path.parent.name.removeprefix("step-")), path.stat().st_mtime))
            except FileNotFoundError:
                continue  # pruned meanwhile
        return max(found)

    def checkpoints(self) -> list[Path]:
        """The folders of the checkpoints of all attempts."""
        folder = self.job.workdir / f"store/default/pretrainjob/{self.name}"
        return list(folder.glob("*/*/checkpoints/step-*"))

    def wait_for_checkpoint(self, shell: subprocess.Popen[str], attempt: int = 1) -> None:
        end = time.monotonic() + 200
        while self.checkpoint(attempt)[0] == 0:
            assert shell.poll() is None, shell.communicate()[0]
            assert time.monotonic() < end, "waited too long"
            time.sleep(0.05)

    def ranks(self) -> list[int]:
        """The processes that train, by rank."""
        found = {}
        for pid in self.job.processes():
            try:
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            rank = next((v for v in variables if v.startswith(b"LOCAL_RANK=")), None)
            if rank:
                found[int(rank.partition(b"=")[2])] = pid
        return [found[rank] for rank in sorted(found)]

    def model(self) -> bytes:
        return bytes(
            (self.job.artifact("PretrainJob", self.name) / "model.safetensors").read_bytes()
        )

    def events(self) -> list[str]:
        lines = (self.job.workdir / "events.jsonl").read_text().splitlines()
        told = [json.loads(line) for line in lines]
        return [e["message"] for e in told if e["involvedObject"]["name"] == self.name]
