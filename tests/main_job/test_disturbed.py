"""One training, disturbed in every way in turn: its bytes stay those of a quiet one, and it tells what happened."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from .training import PRICE, SLOTS, TOLERANCE, Training

pytestmark = [
    pytest.mark.local,
    pytest.mark.timeout(900),
]

UNKNOWN, INFRASTRUCTURE = "Unknown", "Infrastructure"


def kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def a_rank_is_killed(run: Training, _: subprocess.Popen[str]) -> None:
    assert len(run.ranks()) == SLOTS
    kill(run.ranks()[1])


def both_ranks_are_killed(run: Training, _: subprocess.Popen[str]) -> None:
    kill(*run.ranks())


def the_shell_is_killed(_: Training, shell: subprocess.Popen[str]) -> None:
    kill(shell.pid)


def everything_is_killed_at_once(run: Training, shell: subprocess.Popen[str]) -> None:
    kill(*run.job.processes(), shell.pid)


def the_newest_checkpoint_is_damaged(run: Training, shell: subprocess.Popen[str]) -> None:
    """One bit of it, when nobody is at work any more."""
    kill(*run.job.processes(), shell.pid)
    shell.wait(timeout=60)
    wait_until_gone(run)
    newest = max(run.checkpoints(), key=lambda path: path.name)
    file = next(newest.glob("rank-00001.safetensors"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def wait_until_gone(run: Training) -> None:
    end = time.monotonic() + 20
    while run.job.processes() and time.monotonic() < end:
        time.sleep(0.05)


def the_shell_is_asked_to_stop(_: Training, shell: subprocess.Popen[str]) -> None:
    shell.send_signal(signal.SIGTERM)


def it_is_suspended(run: Training, _: subprocess.Popen[str]) -> None:
    run.command("suspend", f"PretrainJob/{run.name}")


@dataclass(frozen=True)
class Case:
    """A disturbance, and what is to be told of the attempt that it ends."""

    disturb: Callable[[Training, subprocess.Popen[str]], None]
    exit_code: int | None
    """Of the shell; None: it goes on."""
    outcomes: tuple[str, ...]
    causes: tuple[str | None, ...]
    saves: bool = False
    """Whether the attempt makes a checkpoint before it ends."""
    damages: bool = False
    """Whether the newest checkpoint is of no use after it."""
    seconds: int = 0
    """That the gang may still hold its slots: torchrun has to see that a rank is gone."""


CASES = {
    case.disturb.__name__: case
    for case in (
        Case(a_rank_is_killed, None, ("Failed", "Lost"), (UNKNOWN, INFRASTRUCTURE), seconds=15),
        Case(
            both_ranks_are_killed, None, ("Failed", "Lost"), (UNKNOWN, INFRASTRUCTURE), seconds=15
        ),
        Case(the_shell_is_killed, -signal.SIGKILL, ("Lost",), (INFRASTRUCTURE,)),
        Case(everything_is_killed_at_once, -signal.SIGKILL, ("Lost",), (INFRASTRUCTURE,)),
        Case(
            the_newest_checkpoint_is_damaged,
            -signal.SIGKILL,
            ("Lost",),
            (INFRASTRUCTURE,),
            damages=True,
        ),
        Case(the_shell_is_asked_to_stop, 128 + signal.SIGTERM, ("Stopped",), (None,), saves=True),
        Case(it_is_suspended, 1, ("Stopped",), (None,), saves=True),
    )
}


@dataclass
class Story:
    """What was done to the run, and what it came to."""

    run: Training
    steps: dict[str, int] = field(default_factory=dict)
    """Step of the newest checkpoint when it was disturbed."""
    lost: dict[str, float] = field(default_factory=dict)
    """Seconds between that checkpoint and the disturbance."""
    phases: dict[str, str] = field(default_factory=dict)
    """Phase when the shell had ended."""
    left: dict[str, list[int]] = field(default_factory=dict)
    """Processes of pods a while after the shell had ended."""
    status: dict[str, Any] = field(default_factory=dict)
    """At the end."""
    events: list[str] = field(default_factory=list)

    def attempt(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.status["attempts"][list(CASES).index(name)]
        return found

    def next_attempt(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.status["attempts"][list(CASES).index(name) + 1]
        return found


@pytest.fixture(scope="session")
def story(training: Callable[[str], Training]) -> Story:
    """A training that went through all cases, one attempt after the other, to its end."""
    told = Story(training("disturbed"))
    run, shell = told.run, told.run.start()
    for number, (name, case) in enumerate(CASES.items(), 1):
        run.wait_for_checkpoint(shell, number)
        told.steps[name], saved = run.checkpoint(number)
        case.disturb(run, shell)
        told.lost[name] = time.time() - saved
        if case.exit_code is None:
            continue
        output, _ = shell.communicate(timeout=100)
        assert shell.returncode == case.exit_code, output
        wait_until_gone(run)
        told.left[name] = run.job.processes()
        told.phases[name] = run.status()["phase"]
        if case.disturb is it_is_suspended:
            run.command("resume", f"PretrainJob/{run.name}")
        shell = run.start()
    output, _ = shell.communicate(timeout=280)
    assert shell.returncode == 0, output
    told.status, told.events = run.status(), run.events()
    return told


def test_the_model_is_the_same_byte_for_byte(story: Story, reference: bytes) -> None:
    assert story.run.model() == reference


def test_one_attempt_follows_each_disturbance(story: Story) -> None:
    status = story.status
    assert status["phase"] == "Succeeded"
    assert len(status["attempts"]) == len(CASES) + 1
    assert status["attempts"][-1]["outcome"] == "Succeeded"
    assert not story.run.job.processes()


@pytest.mark.parametrize("name", CASES)
def test_it_is_told_why_the_attempt_ended(story: Story, name: str) -> None:
    case, attempt = CASES[name], story.attempt(name)
    assert attempt["outcome"] in case.outcomes
    assert attempt.get("failure") in case.causes
    assert attempt["message"]
    number = attempt["number"]
    told = story.events
    assert any(message.startswith(f"attempt {number} ended") for message in told), told


@pytest.mark.parametrize("name", CASES)
def test_the_next_one_goes_on_from_the_newest_checkpoint(story: Story, name: str) -> None:
    case, attempt, after = CASES[name], story.attempt(name), story.next_attempt(name)
    assert after["resumedStep"] == attempt["checkpointStep"]
    assert (after["resumedStep"] < story.steps[name]) is case.damages
    if case.damages:
        assert after["passedOver"] == 1
    told = story.events
    words = f"going on from step {after['resumedStep']}"
    assert any(words in message for message in told), told


@pytest.mark.parametrize("name", CASES)
def test_what_was_lost_is_what_came_after_the_checkpoint(story: Story, name: str) -> None:
    case, attempt = CASES[name], story.attempt(name)
    lost = Decimal(attempt["costs"]["lostWork"])
    if case.saves:
        assert lost == 0
    elif case.damages:
        assert lost > 0
    else:
        seconds = Decimal(story.lost[name]) + TOLERANCE + case.seconds
        assert 0 <= lost <= seconds * SLOTS * PRICE
    assert Decimal(attempt["cost"]) == round(Decimal(attempt["gpuSeconds"]) * PRICE, 6)


def test_a_damaged_checkpoint_is_told_of(story: Story) -> None:
    words = "damaged and passed over: 1 newer"
    assert any(words in message for message in story.events), story.events


def test_money_adds_up(story: Story) -> None:
    status = story.status
    for total, part in (("accrued", "cost"), ("wasted", "wasted")):
        parts = sum(Decimal(attempt[part]) for attempt in status["attempts"])
        assert Decimal(status["cost"][total]) == parts


def test_nothing_runs_without_a_shell(story: Story) -> None:
    assert story.left
    assert not any(story.left.values())


def test_suspended_is_what_it_is_called(story: Story) -> None:
    assert story.phases["it_is_suspended"] == "Suspended"
    attempt = story.attempt("it_is_suspended")
    assert (attempt["reason"], attempt["estimated"]) == ("Suspended", False)


def test_an_end_that_nobody_saw_is_estimated(story: Story) -> None:
    assert story.attempt("everything_is_killed_at_once")["estimated"] is True
    assert story.attempt("a_rank_is_killed")["estimated"] is False
