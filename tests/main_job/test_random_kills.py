"""Twenty kills at random times, of random victims: `make soak`. Seeded, so that a run can be repeated."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from decimal import Decimal

import pytest
import yaml

from .training import PRICE, SLOTS, Training

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(3600),
]

SEED = 20
RUNS = 4
KILLS = 5
"""A run."""

VICTIMS = ("rank 0", "rank 1", "both ranks", "pod", "shell", "everything")


class Storm:
    """A training in which something is killed again and again."""

    def __init__(self, run: Training, dice: random.Random) -> None:
        self.run = run
        self.dice = dice
        self.shell: subprocess.Popen[str] = run.start()
        self.struck: list[str] = []

    def strike(self) -> None:
        """Kill a random victim at a random moment of the life of an attempt."""
        self._await_pod()
        time.sleep(self.dice.uniform(0, 15))
        if self.shell.poll() == 0:
            return
        victim = self.dice.choice(VICTIMS)
        while not (pids := self._pids(victim)):
            if self.shell.poll() == 0:
                return
            time.sleep(0.1)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.struck.append(f"{victim} ({len(pids)} processes)")
        if self.shell.pid in pids:
            self.shell.communicate(timeout=60)
            self.shell = self.run.start()

    def finish(self) -> None:
        """Let it end."""
        while True:
            output, _ = self.shell.communicate(timeout=600)
            if self.shell.returncode == 0:
                return
            raise AssertionError(output)

    def _pids(self, victim: str) -> list[int]:
        ranks = self.run.ranks()
        match victim:
            case "rank 0":
                return ranks[:1]
            case "rank 1":
                return ranks[1:]
            case "both ranks":
                return ranks
            case "pod":
                return self.run.job.processes()
            case "shell":
                return [self.shell.pid]
        return [*self.run.job.processes(), self.shell.pid]

    def _await_pod(self) -> None:
        end = time.monotonic() + 400
        while not self.run.job.processes() and self.shell.poll() is None:
            assert time.monotonic() < end, "no pod started"
            time.sleep(0.1)


@pytest.mark.parametrize("number", range(RUNS))
def test_the_bytes_stay_the_same(
    training: Callable[[str], Training], reference: bytes, number: int
) -> None:
    run = training(f"storm-{number}")
    value = yaml.safe_load(run.file.read_text())
    value["spec"]["recovery"] = {"maxAttempts": 99, "infrastructure": 99, "unknown": 99}
    run.file.write_text(yaml.safe_dump(value))
    begun = time.time()
    storm = Storm(run, random.Random(SEED + number))
    for _ in range(KILLS):
        storm.strike()
    storm.finish()

    status = run.status()
    attempts = status["attempts"]
    for attempt in attempts:
        print(*(f"{k}={attempt.get(k)}" for k in SHOWN))
    print(f"storm-{number}: {', '.join(storm.struck)}; {len(attempts)} attempts, {status['cost']}")
    assert len(storm.struck) == KILLS
    assert run.model() == reference
    assert attempts[-1]["outcome"] == "Succeeded"
    assert all(a["outcome"] in ("Failed", "Lost") for a in attempts[:-1])
    assert 1 <= len(attempts) - 1 <= KILLS
    accrued, wasted = (Decimal(status["cost"][name]) for name in ("accrued", "wasted"))
    assert accrued == sum(Decimal(a["cost"]) for a in attempts)
    assert 0 <= wasted < accrued
    assert accrued <= Decimal(time.time() - begun) * SLOTS * PRICE
    assert not run.job.processes()


SHOWN = ("number", "outcome", "reason", "gpuSeconds", "wasted", "resumedStep", "estimated")
