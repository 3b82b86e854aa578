"""The top of the report: what came of it and what it cost, for those who read no further."""

from __future__ import annotations

import math

from cupola_api.common import Phase
from cupola_api.dataset import DatasetStatus
from cupola_api.evaluation import Score
from cupola_api.quantities import people
from cupola_operator.children import time_of
from cupola_operator.report import evaluation, training, words
from cupola_operator.report.evidence import Evidence, Subject
from cupola_operator.report.html import Html, el, paragraph, table
from cupola_operator.report.money import totals
from cupola_operator.report.section import Section

STYLES = {Phase.SUCCEEDED: "good", Phase.FAILED: "bad", Phase.STALLED: "bad"}
_UNFINISHED = {
    Phase.PENDING: "has not begun",
    Phase.WAITING: "waits",
    Phase.RUNNING: "is running",
    Phase.RECOVERING: "is recovering",
    Phase.SUSPENDED: "is suspended",
    Phase.FAILED: "failed",
    Phase.STALLED: "cannot go on",
}
_TOLD = 4
"""Scores that are told in sentences."""


def section(evidence: Evidence) -> Section:
    """The summary."""
    target = evidence.target
    missing = [
        el(
            "p",
            f"{key} is not in the work directory, so this report says nothing about it.",
            class_="note",
        )
        for key in evidence.missing
    ]
    notes = [
        el("p", f"{s.title}: {note}.", class_="note") for s in evidence.subjects for note in s.notes
    ]
    return Section(
        "Summary",
        [
            el("p", result(target), class_="lead"),
            _told(target),
            paragraph(f"{_cost(evidence)} {_took(evidence)}".strip()),
            _tiles(evidence),
            _table(evidence),
            *missing,
            *notes,
        ],
    )


def result(subject: Subject) -> str:
    """What came of a resource, in sentences."""
    status = subject.status
    if status.phase is not Phase.SUCCEEDED:
        ready = status.condition("Ready")
        said = f"{subject.title} {_UNFINISHED[status.phase]}"
        if status.progress and status.phase not in STYLES:
            said += f", {status.progress.fraction:.0%} of it is done"
        return f"{said}. {ready.reason}: {ready.message.rstrip('.')}." if ready else f"{said}."
    if isinstance(status, DatasetStatus) and status.summary:
        s = status.summary
        kept = words.share(s.documents_kept, s.documents_read)
        return (
            f"{subject.title} kept {s.documents_kept:,} of {s.documents_read:,} documents ({kept}): "
            f"{people(s.tokens)} tokens to train on."
        )
    if model := training.model_of(subject):
        said = f"{subject.title} is a model of {people(model.parameters)} parameters"
        said += f", trained on {people(model.tokens)} tokens." if model.tokens else "."
        if model.validation_loss is not None:
            said += f" On held-out text its loss is {words.number(model.validation_loss)} nats per token"
            said += f" (perplexity {words.number(math.exp(min(model.validation_loss, 700)))})."
        return said
    return _measured(subject)


def _measured(subject: Subject) -> str:
    model, other = evaluation.models(subject)
    beside = f" beside {other}" if other else ""
    thresholds = getattr(subject.resource.spec, "thresholds", [])
    met = ", and all thresholds are met" if thresholds else ""
    return f"{subject.title} measured {model}{beside}{met}."


def _told(subject: Subject) -> Html | None:
    """The first scores, a sentence each."""
    scores = evaluation.scores_of(subject)
    sentences = [_score(subject, score) for score in scores[:_TOLD]]
    if len(scores) > _TOLD:
        sentences.append(f"{words.plural(len(scores) - _TOLD, 'more score')} below.")
    return el("ul", *(el("li", sentence) for sentence in sentences)) if sentences else None


def _score(subject: Subject, score: Score) -> str:
    _, other = evaluation.models(subject)
    said = f"{score.task}: {score.metric} {words.number(score.value)}"
    if other and score.compared_to is not None:
        said += f" against {words.number(score.compared_to)} ({evaluation.verdict(score)})"
    elif score.chance is not None:
        said += f" where chance gives {words.number(score.chance)}"
    return f"{said}; {evaluation.direction(score)}."


def _cost(evidence: Evidence) -> str:
    parts = []
    for total in totals(evidence.subjects):
        if total.currency is None:
            continue
        spent = words.money(total.accrued, total.currency)
        share = words.share(float(total.wasted), float(total.accrued))
        parts.append(
            f"{spent}, of which {share} was wasted"
            if total.wasted
            else f"{spent}, nothing of it wasted"
        )
    if not parts:
        return ""
    what = "It and everything it was made from" if len(evidence.subjects) > 1 else "It"
    so_far = "" if evidence.target.status.phase in STYLES else " so far"
    return f"{what} cost {' and '.join(parts)}{so_far}."


def wall_seconds(evidence: Evidence) -> float | None:
    """Seconds from the first start to the last end of all attempts."""
    attempts = [a for s in evidence.subjects for a in s.status.attempts]
    begin = words.earliest([a.started_at for a in attempts])
    ends = [t for t in (time_of(a.ended_at) for a in attempts) if t]
    return (max(ends) - begin).total_seconds() if begin and ends else None


def _took(evidence: Evidence) -> str:
    seconds = wall_seconds(evidence)
    failed = sum(len(s.failed_attempts) for s in evidence.subjects)
    tries = sum(len(s.status.attempts) for s in evidence.subjects)
    if seconds is None:
        return ""
    said = f"It took {words.duration(seconds)} from the first start to the last end"
    return f"{said}; {failed} of {words.plural(tries, 'attempt')} failed." if failed else f"{said}."


def _tiles(evidence: Evidence) -> Html:
    target = evidence.target
    phase = target.status.phase
    found: list[tuple[str, str | Html, str]] = [
        (
            "Outcome",
            el("span", str(phase), class_=f"badge {STYLES.get(phase, 'busy')}"),
            _reason(target),
        )
    ]
    for total in totals(evidence.subjects):
        found.append(
            (
                "Spent",
                words.money(total.accrued, total.currency),
                f"{total.gpu_hours:,.4f} device hours",
            )
        )
        if total.currency:
            share = words.share(float(total.wasted), float(total.accrued))
            found.append(("Wasted", words.money(total.wasted, total.currency), share))
        found.append(
            ("Energy", f"{total.energy_kwh:,.5f} kWh", "by the stated power and PUE of the pools")
        )
    found.append(("Took", words.duration(wall_seconds(evidence)), "first start to last end"))
    return el(
        "dl",
        *(
            el("div", el("dt", name), el("dd", value), el("dd", note, class_="quiet"))
            for name, value, note in found
        ),
        class_="tiles",
    )


def _reason(subject: Subject) -> str:
    ready = subject.status.condition("Ready")
    return ready.reason if ready and ready.reason != subject.status.phase else ""


def _table(evidence: Evidence) -> Html:
    rows = []
    for subject in evidence.subjects:
        phase = subject.status.phase
        cost = subject.status.cost
        rows.append(
            (
                subject.title,
                el("span", str(phase), class_=f"badge {STYLES.get(phase, 'busy')}"),
                _short_result(subject),
                len(subject.status.attempts),
                words.money(cost.accrued, cost.currency) if cost else words.NONE,
                words.money(cost.wasted, cost.currency) if cost else words.NONE,
            )
        )
    head = ("Resource", "Phase", "Result", "Attempts", "Spent", "Wasted")
    return table(head, rows, caption="In the order of making", numeric=(3, 4, 5))


def _short_result(subject: Subject) -> str:
    status = subject.status
    if isinstance(status, DatasetStatus) and status.summary:
        summary = status.summary
        return f"{summary.documents_kept:,} documents, {people(summary.tokens)} tokens"
    if model := training.model_of(subject):
        said = f"{people(model.parameters)} parameters"
        loss = model.validation_loss
        return f"{said}, validation loss {words.number(loss)}" if loss is not None else said
    scores = evaluation.scores_of(subject)[:_TOLD]
    return "; ".join(f"{s.task} {s.metric} {words.number(s.value)}" for s in scores) or words.NONE
