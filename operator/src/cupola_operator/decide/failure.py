"""Why a pod failed, in one place: whose move it is, a reason in one word, a sentence with a remedy."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from typing import NamedTuple

from cupola_api.common import FailureClass
from cupola_api.outcome import Outcome, OutcomeKind
from cupola_operator.children import Pod
from cupola_operator.podstate import START_ERRORS

STOPPED, DISRUPTED, KILLED, NO_MESSAGE = "Stopped", "Disrupted", "Killed", "NoMessage"
OOM_KILLED, START_ERROR = "OOMKilled", "StartError"

FOLLOWING = "RankLost"
"""What a rank says when it lost another one: that one is to blame."""

HUNG = "Hung"
"""What a rank says of a training without progress. What its pod came to after that follows from it;
but where a node went away, the ranks on the others only waited for that one."""

UNMET = "MasterNotFound"
"""Of a pod that waited for the one with rank 0 in vain, before its program began."""

_SIGTERM = 143
_SIGKILL = 137
_TRAINING = {"pretrain", "finetune"}


class Failure(NamedTuple):
    """The end of a pod that did not end well."""

    cause: FailureClass | None
    """None: it was stopped from outside, in good order."""
    reason: str
    message: str
    saved: bool = False
    """Whether it made a checkpoint as its last act."""


_ORDER = {DISRUPTED: 2, HUNG: 3, KILLED: 4, NO_MESSAGE: 6, FOLLOWING: 8, UNMET: 8}
"""Of reasons without a person's fault, for `blame`; others come at 5."""


def of(pod: Pod) -> Failure:
    """The failure of a pod: by its own word, else by what its node says, else by its exit code."""
    said = pod.outcome
    if pod.unmet:
        why = f"pod {pod.name} did not find rank 0 in the cluster's DNS, and gave up"
        return _infrastructure(UNMET, why)
    if said and said.outcome is OutcomeKind.FAILED:
        return _said(pod, said)
    stopped = said is not None or pod.exit_code == _SIGTERM
    if stopped:
        saved = said is not None and said.step is not None
        message = (said.message if said else "") or f"pod {pod.name} was asked to stop (SIGTERM)"
        return Failure(None, DISRUPTED if pod.by_node else STOPPED, message, saved)
    if pod.by_node:
        return _infrastructure(
            DISRUPTED, f"pod {pod.name} was ended by its node: {_why_by_node(pod)}"
        )
    if pod.reason == OOM_KILLED:
        return Failure(FailureClass.OUT_OF_MEMORY, OOM_KILLED, _out_of_memory(pod))
    if pod.reason in START_ERRORS:
        return Failure(
            FailureClass.UNKNOWN,
            START_ERROR,
            f"pod {pod.name} could not be started: {pod.message or 'its node does not say why'}",
        )
    return _by_exit_code(pod)


def worst(pods: Iterable[Pod]) -> Failure | None:
    """Of the pods that failed, the one to blame: the others mostly failed because it did."""
    return min((of(pod) for pod in pods if pod.failed), key=blame, default=None)


def blame(failure: Failure) -> tuple[int, bool]:
    """The order of `worst`: a cause that needs a person first, what only follows from others last."""
    match failure.cause:
        case None:
            order = 7
        case FailureClass.USER | FailureClass.DATA:
            order = 0
        case FailureClass.OUT_OF_MEMORY:
            order = 1
        case _:
            order = _ORDER.get(failure.reason, 5)
    return order, not failure.saved


def _said(pod: Pod, said: Outcome) -> Failure:
    """What the program said of its failure; that its node ended it explains all but its own faults.

    That it lost a rank is explained by its node having killed that one for memory.
    """
    cause = said.failure or FailureClass.UNKNOWN
    message = said.message or f"pod {pod.name} failed ({said.reason}); its log may tell more"
    own = (FailureClass.USER, FailureClass.DATA, FailureClass.OUT_OF_MEMORY)
    if pod.reason == OOM_KILLED and said.reason == FOLLOWING:
        return Failure(FailureClass.OUT_OF_MEMORY, OOM_KILLED, _out_of_memory(pod))
    if pod.by_node and cause not in own:
        return _infrastructure(DISRUPTED, f"pod {pod.name} was ended by its node: {message}")
    return Failure(cause, said.reason, message)


def _infrastructure(reason: str, message: str) -> Failure:
    return Failure(FailureClass.INFRASTRUCTURE, reason, message)


def _why_by_node(pod: Pod) -> str:
    return ": ".join(text for text in (pod.reason, pod.message) if text) or "its node went away"


def _out_of_memory(pod: Pod) -> str:
    remedy = (
        "raise spec.parallelism.zeroStage, set activationCheckpointing, or use a pool with more "
        "memory"
        if pod.stage in _TRAINING
        else "use a pool with more memory for each device (memoryPerGpu in the settings)"
    )
    return f"pod {pod.name} was killed because it ran out of memory; {remedy}"


def _by_exit_code(pod: Pod) -> Failure:
    code = pod.exit_code
    if code == _SIGKILL:
        return _infrastructure(
            KILLED,
            f"pod {pod.name} was killed (SIGKILL) from outside; if that happens again, its node may "
            "lack memory",
        )
    end = "ended without an exit code" if code is None else f"ended with exit code {code}"
    if code is not None and code > 128 and (name := _signal(code - 128)):
        end = f"crashed ({name})"
    return Failure(
        FailureClass.UNKNOWN,
        NO_MESSAGE,
        f"pod {pod.name} {end} and did not say why; its log may tell",
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""
