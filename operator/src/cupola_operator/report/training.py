"""The sections of a training: the finished model, and its curves over all attempts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cupola_api.finetune import FineTuneStatus
from cupola_api.pretrainjob import PretrainJobStatus
from cupola_api.quantities import people
from cupola_api.training import ModelSummary
from cupola_operator.report import words
from cupola_operator.report.chart import Band, Level, Series, lines
from cupola_operator.report.evidence import Subject
from cupola_operator.report.history import History, Point, curve
from cupola_operator.report.html import Html, el, paragraph, table
from cupola_operator.report.section import Section


def sections(subject: Subject) -> list[Section]:
    """What the section of a PretrainJob or a FineTune holds besides what all have."""
    model = model_of(subject)
    found = [Section("The model", [_figures(model)])] if model else []
    if not subject.histories:
        nothing = el("p", "No step of this training was recorded on this machine.", class_="quiet")
        return [*found, Section("Loss", [nothing])]
    levels = _levels(model)
    return [
        *found,
        Section("Loss", [*_lost(subject.histories), _chart(subject, "loss", levels=levels)]),
        Section("Throughput", [_chart(subject, "speed")]),
        Section("Learning rate and gradient", [_chart(subject, "rate"), _chart(subject, "norm")]),
    ]


def model_of(subject: Subject) -> ModelSummary | None:
    """The finished model in figures."""
    status = subject.status
    return status.model if isinstance(status, PretrainJobStatus | FineTuneStatus) else None


def _figures(model: ModelSummary) -> Html:
    rows = [
        ("Parameters", f"{model.parameters:,}", people(model.parameters)),
        ("Tokens trained on", f"{model.tokens:,}", people(model.tokens)),
        ("Optimizer steps", f"{model.steps:,}", ""),
    ]
    if model.trainable_parameters is not None:
        share = words.share(model.trainable_parameters, model.parameters)
        rows.insert(1, ("Parameters that were trained", f"{model.trainable_parameters:,}", share))
    for name, nats in (
        ("Training loss at the end", model.train_loss),
        ("Validation loss", model.validation_loss),
        ("Unigram entropy", model.unigram_entropy),
    ):
        if nats is not None:
            rows.append((name, f"{words.number(nats)} nats", f"perplexity {_perplexity(nats)}"))
    return table(("What", "Value", "In other words"), rows, numeric=(1,))


def _perplexity(nats: float) -> str:
    return words.number(math.exp(nats)) if nats < 100 else "beyond count"


def _levels(model: ModelSummary | None) -> list[Level]:
    """What to compare a training loss with."""
    found = [
        ("validation loss", model.validation_loss if model else None),
        ("unigram entropy", model.unigram_entropy if model else None),
    ]
    return [Level(name, value) for name, value in found if value is not None]


_FIELDS = {
    "loss": ("Training loss", "nats per token", "falls while the model learns"),
    "speed": ("Throughput", "tokens per second", "of all ranks together"),
    "rate": ("Learning rate", "per step", "warm-up, then decay"),
    "norm": ("Norm of the gradient", "before clipping", "spikes show instability"),
}


def _chart(subject: Subject, field: str, levels: Sequence[Level] = ()) -> Html:
    title, unit, said = _FIELDS[field]
    series: list[Series] = []
    bands: list[Band] = []
    for i, history in enumerate(subject.histories):
        name = f"attempt {history.attempt}" if len(subject.histories) > 1 else title.lower()
        kept, lost = _split(history)
        if pairs := curve(kept, field):
            series.append(Series(name, pairs, i))
        if pairs := curve(lost, field):
            series.append(Series(f"{name}, lost", pairs, i, dashed=True))
        if lost:
            bands.append(Band("work that was lost", lost[0].step, lost[-1].step))
    series.sort(key=lambda one: one.dashed)  # what was lost is drawn over what was done again
    description = f"{title} of {subject.title} by optimizer step: {said}."
    return lines(
        title,
        description,
        series,
        levels=levels,
        bands=bands,
        unit=unit,
        height=300 if field == "loss" else 190,
        zero=field != "loss",
    )


def _split(history: History) -> tuple[Sequence[Point], Sequence[Point]]:
    """What of an attempt was kept, and what was lost; the two meet in one point."""
    if history.lost_after is None:
        return history.points, ()
    kept = [point for point in history.points if point.step <= history.lost_after]
    lost = [point for point in history.points if point.step > history.lost_after]
    return kept, [*kept[-1:], *lost]


def _lost(histories: Sequence[History]) -> list[Html]:
    """A sentence about the work that was lost, if any was."""
    said = []
    for history in histories:
        if history.lost_after is not None:
            steps = max(p.step for p in history.points) - history.lost_after
            said.append(
                f"Attempt {history.attempt} lost {words.plural(steps, 'step')} after step "
                f"{history.lost_after:,}."
            )
    if not said:
        return []
    return [
        paragraph(" ".join(said), " Lost work is dashed and shaded: a later attempt did it again.")
    ]
