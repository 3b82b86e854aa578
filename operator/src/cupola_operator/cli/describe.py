"""One resource in full, as `cupola get KIND/NAME` shows it: where it stands, what it costs, its story. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import NamedTuple

from cupola_api.common import Cost, Phase, Status
from cupola_api.control import Control, OnExceeded
from cupola_api.forecast import Actual, Forecast, Projection
from cupola_api.quantities import seconds
from cupola_api.spent import Causes
from cupola_operator.children import Resolved, time_of
from cupola_operator.cli import table
from cupola_operator.cli.advice import advice
from cupola_operator.cluster import Object, key_of
from cupola_operator.plan.answers import limits
from cupola_operator.report import incidents, words
from cupola_operator.report.story import clock, story
from cupola_operator.resources import parse, parse_status

_STYLES = {incidents.GOOD: "green", incidents.BAD: "red", incidents.HELD: "yellow"}
_NARROWEST = 40
_LABEL = 10


class Styled(NamedTuple):
    """A line of text and how a terminal shows it."""

    text: str
    style: str = ""


def describe(
    value: Object,
    now: datetime,
    *,
    events: Sequence[Object] = (),
    run: Resolved | None = None,
    reached: Mapping[int, int] | None = None,
    width: int | None = None,
    zone: tzinfo | None = None,
) -> list[Styled]:
    """A resource, in lines of at most `width` columns; None: nothing is wrapped.

    `events`, `run` and `reached` are as for `report.story`. Times are in `zone`, by default that of
    this machine.
    """
    status = parse_status(value["kind"], value.get("status"))
    lines = [Styled(str(key_of(value)), "bold")]
    for label, text, style in _facts(value, status, now, zone):
        lines += _wrapped(f"{label:<{_LABEL}}", text, width, style)
    told = story(status, events=events, run=run, reached=reached)
    if not told:
        return lines
    times = clock(told, zone=zone)
    first = told[0].time.astimezone(zone)
    longest = max(len(since) for _, since in times)
    lines += [
        Styled(""),
        Styled(f"What happened since {first:%Y-%m-%d %H:%M:%S %Z}:".replace(" :", ":")),
    ]
    for line, (at, since) in zip(told, times, strict=True):
        lead = f"{at}  {since:>{longest}}  "
        lines += _wrapped(lead, line.text, width, _STYLES.get(line.style, ""))
        for detail in line.details:
            lines += _wrapped(" " * len(lead), detail, width, "dim")
    return lines


def _wrapped(lead: str, text: str, width: int | None, style: str) -> list[Styled]:
    """Text behind `lead`, its other lines under its first."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if width is None:
        return [Styled((lead + text).rstrip(), style)]
    room = max(_NARROWEST, width) - len(lead)
    parts = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    indent = " " * len(lead)
    return [Styled((lead if i == 0 else indent) + part, style) for i, part in enumerate(parts)]


def _facts(
    value: Object, status: Status, now: datetime, zone: tzinfo | None
) -> Iterator[tuple[str, str, str]]:
    """(label, text, style) of what is known; nothing is said of what is not."""
    resource, invalid = parse(value)
    row = table.rows([value], now)[0]
    text = str(row.phase)
    if status.phase is not Phase.SUCCEEDED:
        text += f" ({words.plainly(row.reason)})" if row.reason not in ("", row.phase) else ""
        text += f": {row.message}" if row.message else ""
    yield "Phase", text, table.STYLES.get(row.phase, "")
    if todo := advice(value):
        yield "To do", todo, "bold"
    if invalid:
        yield "Spec", f"is not valid: {invalid}", "red"
    if status.run:
        asked = resource.spec.revision if resource else status.run.revision
        newer = f"; revision {asked} is asked for" if asked != status.run.revision else ""
        digest = f", {words.short(status.run.digest)}" if status.run.digest else ""
        yield "Run", f"revision {status.run.revision}{digest}{newer}", ""
    yield from _plan(status.plan, zone)
    if status.progress and status.phase is not Phase.SUCCEEDED:
        yield "Progress", table.progress_text(row._replace(cost="")), ""
    if status.cost:
        yield "Cost", _cost(status.cost, ended=status.phase in (Phase.SUCCEEDED, Phase.FAILED)), ""
    if resource:
        yield from _limits(resource.spec, status, now, zone)
    if result := table.made(status):
        yield "Result", result, ""
    if status.artifact:
        yield "Artifact", f"{words.short(status.artifact.digest)} in {status.artifact.uri}", ""


def _plan(plan: Forecast | None, zone: tzinfo | None) -> Iterator[tuple[str, str, str]]:
    """What it should take, and what is not known of that."""
    if plan:
        devices = words.plural(plan.devices, "device")
        said = [limits.spelled(plan), f"{devices} of pool {plan.pool}", *plan.notes]
        yield "Plan", "; ".join(one for one in said if one), ""
        if plan.projection:
            yield "Projected", _projected(plan.projection, plan.currency, zone), ""
        if plan.actual:
            yield "Took", _took(plan.actual, plan), ""


def _projected(seen: Projection, currency: str | None, zone: tzinfo | None) -> str:
    """What the measured steps let expect."""
    ends = [time_of(end) for end in (seen.end.low, seen.end.expected, seen.end.high)]
    soon = ends[0] and ends[2] and ends[2] - ends[0] < timedelta(hours=1)
    form = "%H:%M:%S" if soon else "%m-%d %H:%M"
    low, end, high = (one.astimezone(zone).strftime(form) if one else "?" for one in ends)
    said = [f"ends {end} ({low} to {high})"]
    if seen.cost:
        amounts = (seen.cost.low, seen.cost.expected, seen.cost.high)
        least, cost, most = (words.money(one, currency) for one in amounts)
        said.append(f"{cost} ({least} to {most})")
    step = seen.step_seconds
    said.append(
        f"a step takes {words.number(float(step.expected), 3)} s ({words.number(float(step.low), 3)} to "
        f"{words.number(float(step.high), 3)}), by {words.plural(seen.after, 'measured step')}"
    )
    return "; ".join(said)


def _took(actual: Actual, plan: Forecast) -> str:
    """What it took beside what was planned."""
    said = []
    if actual.cost and plan.cost:
        said.append(f"{words.money(actual.cost, plan.currency)}, planned {limits.span(plan.cost)}")
    if actual.wall_clock_hours:
        said.append(words.duration(float(actual.wall_clock_hours) * 3600))
    if actual.step_seconds:
        said.append(f"{words.number(float(actual.step_seconds), 3)} s a step")
    outside = ", ".join(actual.outside)
    said.append(f"not as planned: {outside}" if outside else "as planned")
    return "; ".join(said)


def _cost(cost: Cost, *, ended: bool) -> str:
    if cost.accrued is None:
        hours = f"{Decimal(cost.gpu_hours):,.4f} device hours"
        return f"{hours}; money is not known, as a pool of it has no price"
    text = words.money(cost.accrued, cost.currency)
    if not ended:
        text += f" so far, {words.money(cost.projected, cost.currency)} at the end"
    wasted = Decimal(cost.wasted or 0)
    if not wasted:
        return f"{text}; nothing of it wasted"
    share = words.share(float(wasted), float(cost.accrued))
    return f"{text}; {words.money(wasted, cost.currency)} of it ({share}) wasted{_why(cost.causes)}"


def _why(causes: Causes | None) -> str:
    """What was wasted on."""
    if causes is None:
        return ""
    why = [
        *(["work that attempts lost when they ended"] if Decimal(causes.lost_work) else []),
        *(["devices held idle"] if Decimal(causes.idle) else []),
    ]
    return f", on {' and '.join(why)}"


def _limits(
    spec: Control, status: Status, now: datetime, zone: tzinfo | None
) -> Iterator[tuple[str, str, str]]:
    """What is left of money and time."""
    if spec.budget:
        spent = Decimal((status.cost and status.cost.accrued) or 0)
        left = max(Decimal(0), Decimal(spec.budget.max_cost) - spent)
        money = words.money(left, (status.cost and status.cost.currency) or "").strip()
        fails = spec.budget.on_exceeded is OnExceeded.FAIL
        then = "fails" if fails else "is suspended"
        yield "Budget", f"{money} left of {spec.budget.max_cost}; then it {then}", ""
    started = time_of(status.run.started_at) if status.run else None
    if spec.deadline and started:
        end = started + timedelta(seconds=seconds(spec.deadline))
        rest = (end - now).total_seconds()
        left_time = f"{words.duration(rest)} left" if rest > 0 else "over"
        yield "Deadline", f"{end.astimezone(zone):%Y-%m-%d %H:%M:%S}, {left_time}", ""
