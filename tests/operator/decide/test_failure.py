from __future__ import annotations

from typing import Any

import pytest

from cupola_api.common import FailureClass
from cupola_api.outcome import Outcome, OutcomeKind
from cupola_operator.children import Pod
from cupola_operator.decide import failure
from cupola_operator.decide.failure import Failure

USER, DATA = FailureClass.USER, FailureClass.DATA
MEMORY, UNKNOWN = FailureClass.OUT_OF_MEMORY, FailureClass.UNKNOWN
INFRASTRUCTURE = FailureClass.INFRASTRUCTURE


def pod(code: int | None = 1, said: Outcome | None = None, **more: Any) -> Pod:
    return Pod(name="p", uid="p", terminal=True, exit_code=code, outcome=said, **more)


def says(kind: str, cause: FailureClass | None = None, **more: Any) -> Outcome:
    return Outcome(
        outcome=OutcomeKind(kind),
        failure=cause,
        message=more.pop("message", "so it is"),
        reason=more.pop("reason", "Because"),
        **more,
    )


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (pod(1, says("Failed", USER)), (USER, "Because", False)),
        (pod(1, says("Failed", DATA)), (DATA, "Because", False)),
        (pod(1, says("Failed", UNKNOWN)), (UNKNOWN, "Because", False)),
        (pod(1, says("Failed")), (UNKNOWN, "Because", False)),
        (pod(1, says("Failed", MEMORY)), (MEMORY, "Because", False)),
        (pod(1, says("Failed", INFRASTRUCTURE)), (INFRASTRUCTURE, "Because", False)),
        (pod(1, says("Failed", USER), by_node=True), (USER, "Because", False)),
        (pod(1, says("Failed", MEMORY), by_node=True), (MEMORY, "Because", False)),
        (pod(1, says("Failed"), by_node=True), (INFRASTRUCTURE, "Disrupted", False)),
        (pod(143, says("Stopped", step=5)), (None, "Stopped", True)),
        (pod(143, says("Stopped", step=0)), (None, "Stopped", True)),
        (pod(143, says("Stopped")), (None, "Stopped", False)),
        (pod(143), (None, "Stopped", False)),
        (pod(143, says("Stopped", step=5), by_node=True), (None, "Disrupted", True)),
        (pod(None, by_node=True), (INFRASTRUCTURE, "Disrupted", False)),
        (pod(137, reason="OOMKilled"), (MEMORY, "OOMKilled", False)),
        (
            pod(1, says("Failed", INFRASTRUCTURE, reason="RankLost"), reason="OOMKilled"),
            (MEMORY, "OOMKilled", False),
        ),
        (pod(137, reason="Error"), (INFRASTRUCTURE, "Killed", False)),
        (pod(128, reason="StartError"), (UNKNOWN, "StartError", False)),
        (pod(128, reason="ContainerCannotRun"), (UNKNOWN, "StartError", False)),
        (pod(139), (UNKNOWN, "NoMessage", False)),
        (pod(1), (UNKNOWN, "NoMessage", False)),
        (pod(None), (UNKNOWN, "NoMessage", False)),
    ],
)
def test_whose_move_it_is(failed: Pod, expected: tuple[FailureClass | None, str, bool]) -> None:
    found = failure.of(failed)
    assert (found.cause, found.reason, found.saved) == expected
    assert found.message


@pytest.mark.parametrize(
    ("failed", "words"),
    [
        (pod(137, reason="OOMKilled", stage="pretrain"), ["p ", "zeroStage", "with more memory"]),
        (pod(137, reason="OOMKilled", stage="clean"), ["p ", "; use a pool", "memoryPerGpu"]),
        (pod(137), ["p ", "SIGKILL", "may lack memory"]),
        (pod(139), ["p ", "SIGSEGV", "log"]),
        (pod(129), ["p ", "SIGHUP", "log"]),
        (pod(128), ["p ", "exit code 128", "log"]),
        (pod(128 + 127), ["p ", "exit code 255", "log"]),
        (pod(7), ["p ", "exit code 7", "log"]),
        (pod(None), ["p ended without an exit code", "log"]),
        (pod(128, reason="StartError", message="no such file"), ["p ", "no such file"]),
        (pod(128, reason="StartError"), ["p ", "does not say why"]),
        (
            pod(None, by_node=True, reason="Evicted", message="low on disk"),
            ["Evicted: low on disk"],
        ),
        (pod(None, by_node=True), ["its node went away"]),
        (pod(143), ["p ", "SIGTERM"]),
        (pod(143, says("Stopped")), ["so it is"]),
        (pod(1, says("Failed", message="")), ["p ", "Because", "log"]),
        (pod(1, says("Failed"), by_node=True), ["ended by its node", "so it is"]),
    ],
)
def test_the_sentence_says_what_happened_and_where_to_look(failed: Pod, words: list[str]) -> None:
    message = failure.of(failed).message
    assert all(word in message for word in words), message


IN_ORDER = [
    pod(1, says("Failed", USER)),
    pod(137, reason="OOMKilled"),
    pod(None, by_node=True),
    pod(1, says("Failed", INFRASTRUCTURE, reason="Hung")),
    pod(137),
    pod(1, says("Failed", UNKNOWN)),
    pod(1),
    pod(143, says("Stopped", step=5)),
    pod(143),
    pod(1, says("Failed", INFRASTRUCTURE, reason="RankLost")),
]


@pytest.mark.parametrize("first", range(len(IN_ORDER)))
def test_the_one_to_blame_is_found_among_those_that_failed_with_it(first: int) -> None:
    blamed, others = IN_ORDER[first], IN_ORDER[first + 1 :]
    assert failure.worst([blamed, *others]) == failure.of(blamed)
    assert failure.worst([*reversed(others), blamed]) == failure.of(blamed)


def test_nobody_is_to_blame_if_none_failed() -> None:
    assert failure.worst([Pod(name="p", uid="p"), pod(0)]) is None
    assert failure.blame(Failure(DATA, "Because", "")) == failure.blame(Failure(USER, "So", ""))
