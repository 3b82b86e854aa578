"""The sections that every resource has: its configuration, its story, and its attempts."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import yaml

from cupola_api import run as contract
from cupola_api.base import Model
from cupola_api.common import Attempt
from cupola_operator.children import text_of
from cupola_operator.report import words
from cupola_operator.report.evidence import Subject
from cupola_operator.report.html import Html, code, details, el, join, paragraph, table
from cupola_operator.report.incidents import BAD, GOOD, HELD, Line
from cupola_operator.report.section import Section
from cupola_operator.report.story import CLASSES, clock, story


def configuration(subject: Subject) -> Section:
    """What a person wrote, and what it was resolved to."""
    spec = asked(subject.resource.spec)
    text = yaml.safe_dump(spec, sort_keys=False, allow_unicode=True, width=100)
    body = [paragraph("What was asked for: the spec, without what is so by default."), code(text)]
    if subject.run:
        body.append(
            details(
                "The resolved run: every default filled in, every input with its digest",
                code(contract.dump(subject.run.run)),
            )
        )
    return Section("Configuration", body)


def asked(model: Model) -> dict[str, Any]:
    """The fields of an object of the API that are not as they would be by default, as JSON values."""
    whole, found = model.to_json(), {}
    for name, field in type(model).model_fields.items():
        key, value = field.alias or name, getattr(model, name)
        same = not field.is_required() and value == field.get_default(call_default_factory=True)
        if key in whole and not same:
            found[key] = _asked(value, whole[key])
    return found


def _asked(value: Any, whole: Any) -> Any:
    if isinstance(value, Model):
        return asked(value)
    if isinstance(value, list):
        return [_asked(item, all_of_it) for item, all_of_it in zip(value, whole, strict=True)]
    return whole


def happened(subject: Subject) -> Section:
    """The story of the run, with the same lines as `cupola get` tells it."""
    reached = {history.attempt: history.points[-1].step for history in subject.histories}
    told = story(subject.status, events=subject.events, run=subject.run, reached=reached)
    if not told:
        return Section("What happened", [el("p", "Nothing happened yet.", class_="quiet")])
    rows = [
        (words.moment(text_of(line.time)), since or words.NONE, _line(line))
        for line, (_, since) in zip(told, clock(told, zone=UTC), strict=True)
    ]
    return Section("What happened", [table(("Time (UTC)", "Since the first", "What"), rows)])


_BADGES = {GOOD: "good", BAD: "bad", HELD: "busy"}


def _line(line: Line) -> Html:
    style = _BADGES.get(line.style)
    text = el("span", line.text, class_=f"said {style}" if style else None)
    return join([text, *(el("div", detail, class_="quiet") for detail in line.details)])


def attempts(subject: Subject) -> Section:
    """When each attempt ran, how it ended, and what it cost."""
    found = subject.status.attempts
    if not found:
        return Section("Attempts", [el("p", "There was no attempt.", class_="quiet")])
    currency = subject.status.cost.currency if subject.status.cost else ""
    staged = any(attempt.stage for attempt in found)
    head = [
        *("Attempt", "Started (UTC)", "Took", "Outcome", "Reason", "Last checkpoint"),
        *("Device hours", "Cost", "Wasted"),
    ]
    rows = [_row(attempt, currency, staged=staged) for attempt in found]
    body = [table(head, rows, numeric=(2, 5, 6, 7, 8))]
    if any(attempt.estimated for attempt in found):
        body.append(paragraph("* Its end was not observed; its figures are estimated."))
    return Section("Attempts", body)


def _row(attempt: Attempt, currency: str | None, *, staged: bool) -> list[str | Html]:
    outcome = attempt.outcome or "Running"
    style = {"Succeeded": "good", "Running": "busy", "Stopped": "busy"}.get(outcome, "bad")
    name = f"{attempt.stage or ''} {attempt.number}".strip() if staged else str(attempt.number)
    step = attempt.checkpoint_step
    return [
        name,
        words.moment(attempt.started_at),
        words.duration(words.between(attempt.started_at, attempt.ended_at)),
        el("span", outcome, class_=f"badge {style}"),
        join(
            [
                attempt.reason or words.NONE,
                el("div", CLASSES[attempt.failure], class_="quiet") if attempt.failure else None,
            ]
        ),
        words.NONE if step is None else f"step {step:,}",
        f"{float(attempt.gpu_seconds) / 3600:,.4f}",
        words.money(attempt.cost, currency) + ("*" if attempt.estimated else ""),
        words.money(attempt.wasted, currency),
    ]
