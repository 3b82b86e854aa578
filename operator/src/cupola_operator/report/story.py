"""The story of a run: what happened to it, in the order in which it happened. Pure.

Status is right about attempts and about where the run stands; Events also know what is over (see
`incidents`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from decimal import Decimal

from cupola_api.common import Attempt, ConditionStatus, FailureClass, Status
from cupola_api.run import FineTuneRun, PretrainRun
from cupola_operator.children import Resolved, time_of
from cupola_operator.cluster import Object
from cupola_operator.report import words
from cupola_operator.report.incidents import BAD, GOOD, HELD, Line, incidents

STAGES = {
    "generate": ("letting a model write documents", "a model wrote documents"),
    "list": ("listing the sources", "listed the sources"),
    "clean": ("cleaning the documents", "cleaned the documents"),
    "dedup": ("looking for copies", "removed copies"),
    "tokenise": ("tokenising", "tokenised the documents"),
    "publish": ("publishing", "published the data"),
}
"""What a stage does, and has done."""

CLASSES = {
    FailureClass.USER: "a mistake of the user",
    FailureClass.DATA: "the data",
    FailureClass.OUT_OF_MEMORY: "out of memory",
    FailureClass.INFRASTRUCTURE: "infrastructure",
    FailureClass.UNKNOWN: "unknown cause",
}
"""Classes of failure in words."""


def story(
    status: Status,
    *,
    events: Sequence[Object] = (),
    run: Resolved | None = None,
    reached: Mapping[int, int] | None = None,
) -> list[Line]:
    """What happened to a run, oldest first.

    `events`: those of the resource. `run`: as it was resolved; it knows how many devices there are.
    `reached`: of attempts, the last step that they did; without it, what was lost is told in time
    and money only.
    """
    lines = _begun(status)
    for i, attempt in enumerate(status.attempts):
        before = [one for one in status.attempts[:i] if one.stage == attempt.stage]
        if not attempt.stage:
            lines += _start(attempt, before, run)
        last_step = (reached or {}).get(attempt.number)
        lines += _end(attempt, _figures(attempt, status, _devices(attempt, run), last_step))
    lines += [*incidents(events, status), *_asked_again(status), *_stands(status)]
    return sorted(lines, key=lambda line: line.time)


def _begun(status: Status) -> list[Line]:
    """When the first stage began; a run without stages is told attempt by attempt."""
    first = next((a for a in status.attempts if a.stage), None)
    time = time_of(first.started_at) if first else None
    return [Line(time, "started")] if time else []


def _start(attempt: Attempt, before: Sequence[Attempt], run: Resolved | None) -> list[Line]:
    time = time_of(attempt.started_at)
    if time is None:
        return []
    text = f"attempt {attempt.number} started{_size(run) if not before else ''}"
    details = []
    if before and attempt.resumed_step is not None:
        text += (
            f", going on from step {attempt.resumed_step:,}" if attempt.resumed_step else " anew"
        )
    if attempt.passed_over:
        newer = words.plural(attempt.passed_over, "newer checkpoint")
        details.append(f"passed over {newer} that cannot be read")
    return [Line(time, text, tuple(details))]


def _size(run: Resolved | None) -> str:
    if run is None or not isinstance(run.run, PretrainRun | FineTuneRun):
        return ""
    world = run.run.world
    pods, devices = world.nodes, world.nodes * world.gpus_per_node
    return f" ({words.plural(pods, 'pod')}, {words.plural(devices, 'device')})"


def _devices(attempt: Attempt, run: Resolved | None) -> int:
    """Devices that the attempt held; 0 if that is not known any more."""
    if run and isinstance(run.run, PretrainRun | FineTuneRun):
        return run.run.world.nodes * run.run.world.gpus_per_node
    return sum(pod.gpus for pod in attempt.pods)


def _end(attempt: Attempt, details: tuple[str, ...]) -> list[Line]:
    if attempt.outcome is None:
        doing = STAGES.get(attempt.stage or "", ("", ""))[0] or attempt.stage
        time = time_of(attempt.started_at)
        return [Line(time, f"{doing}{_again(attempt)}")] if attempt.stage and time else []
    time = time_of(attempt.ended_at)
    if time is None:
        return []
    if attempt.stage and attempt.outcome == "Succeeded":
        done = STAGES.get(attempt.stage, ("", f"{attempt.stage} done"))[1]
        return [Line(time, f"{done}{_again(attempt)}: {details[0]}", details[1:], GOOD)]
    doing = STAGES.get(attempt.stage or "", ("", ""))[0] or attempt.stage or ""
    who = f"{doing}, attempt {attempt.number}," if doing else f"attempt {attempt.number}"
    how = {"Lost": "was lost", "Stopped": "was stopped"}.get(
        attempt.outcome, attempt.outcome.lower()
    )
    cause = f" ({CLASSES[attempt.failure]})" if attempt.failure else ""
    why = _why(attempt)
    style = {"Succeeded": GOOD, "Stopped": HELD}.get(attempt.outcome, BAD)
    return [Line(time, f"{who} {how}{cause}{why}", details, style)]


def _why(attempt: Attempt) -> str:
    message = attempt.message or ""
    if attempt.outcome == "Succeeded" or not message:
        return ""
    stopped = message.removeprefix("it was ").removeprefix("stopped ")
    return f" {stopped}" if attempt.outcome == "Stopped" and stopped != message else f": {message}"


def _again(attempt: Attempt) -> str:
    return f" (attempt {attempt.number})" if attempt.number > 1 else ""


def _figures(
    attempt: Attempt, status: Status, devices: int, reached: int | None
) -> tuple[str, ...]:
    """How long an ended attempt took, what it cost, and what of that was lost."""
    currency = status.cost.currency if status.cost else ""
    seconds = words.between(attempt.started_at, attempt.ended_at)
    took = "under 1 s" if seconds == 0 else words.duration(seconds)
    cost = f", cost {words.money(attempt.cost, currency).strip()}" if attempt.cost else ""
    told = [f"took {took}{cost}"]
    if lost := losses(attempt, currency, devices, reached):
        told.append(f"lost {lost}")
    elif attempt.outcome not in (None, "Succeeded"):
        told.append("nothing of it was lost")
    if attempt.outcome == "Stopped" and attempt.checkpoint_step:
        told.append(f"the newest checkpoint is that of step {attempt.checkpoint_step:,}")
    found = ["; ".join(told)]
    if attempt.estimated:
        found.append("its end was not observed; the figures are estimated")
    if attempt.forgiven:
        found.append("forgiven by a retry")
    return tuple(found)


def losses(attempt: Attempt, currency: str | None, devices: int, reached: int | None) -> str:
    """What of an ended attempt bought nothing, in steps, time and money; empty if all of it did.

    `devices`: that it held, 0 if that is not known. `reached`: the last step that it did.
    """
    seconds, parts = _wasted_seconds(attempt), []
    kept = max(attempt.checkpoint_step or 0, attempt.resumed_step or 0)
    if attempt.outcome != "Succeeded" and reached is not None and reached > kept:
        parts.append(f"{words.plural(reached - kept, 'step')} after step {kept:,}")
    if seconds > 0:
        if devices:
            time = words.duration(float(seconds / devices))
            parts.append(f"{time} of {words.plural(devices, 'device')}")
        else:
            parts.append(f"{words.duration(float(seconds))} of one device")
        if attempt.wasted:
            parts.append(words.money(attempt.wasted, currency).strip())
    return ", ".join(parts)


def _wasted_seconds(attempt: Attempt) -> Decimal:
    """Device seconds that bought nothing; of an attempt without causes, by its money."""
    if attempt.causes:
        return Decimal(attempt.causes.lost_work) + Decimal(attempt.causes.idle)
    cost, wasted = Decimal(attempt.cost or 0), Decimal(attempt.wasted or 0)
    return Decimal(attempt.gpu_seconds) * wasted / cost if cost else Decimal(0)


def _asked_again(status: Status) -> list[Line]:
    """The newest retry by annotation."""
    time = time_of(status.run.started_at) if status.run else None
    if time is None or not any(attempt.forgiven for attempt in status.attempts):
        return []
    return [Line(time, "tried again on request: the failed attempts before it are forgiven")]


def _stands(status: Status) -> list[Line]:
    """Where the run came to a stop, if it did."""
    true = {c.type: c for c in status.conditions if c.status is ConditionStatus.TRUE}
    if "Failed" in true:
        true.pop("Stalled", None)
    found = []
    for kind, (text, style) in _STANDS.items():
        condition = true.get(kind)
        time = time_of(condition.last_transition_time) if condition else None
        if condition and time:
            why = condition.message if kind != "Succeeded" else ""
            said = _without_repeats(why, status)
            found.append(Line(time, f"{text}: {said}" if said else text, (), style))
    return found


_STANDS: Mapping[str, tuple[str, str]] = {
    "Succeeded": ("succeeded", GOOD),
    "Failed": ("failed", BAD),
    "Stalled": ("cannot go on", BAD),
    "Suspended": ("suspended", HELD),
    "Outdated": ("outdated", HELD),
}


def _without_repeats(message: str, status: Status) -> str:
    """A message without what the line of the newest attempt says already."""
    last = status.attempts[-1].message if status.attempts else None
    return message.removesuffix(last).rstrip(" :") if last else message


def clock(lines: Sequence[Line], *, zone: tzinfo | None = None) -> list[tuple[str, str]]:
    """(clock time, time since the first line) of each line; with the date where there are several.

    `zone`: the time zone; that of this machine by default.
    """
    times = [line.time.astimezone(zone) for line in lines]
    dated = len({time.date() for time in times}) > 1
    style = "%b %d %H:%M:%S" if dated else "%H:%M:%S"
    found = []
    for time in times:
        since = (time - times[0]).total_seconds()
        found.append((f"{time:{style}}", f"+{words.elapsed(since)}" if since >= 1 else ""))
    return found
