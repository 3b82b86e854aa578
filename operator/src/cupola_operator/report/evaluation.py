"""The sections of an Evaluation: scores with their errors, thresholds, and what models answered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cupola_api.evaluation import Evaluation, EvaluationStatus, Score, Threshold
from cupola_operator.report import words
from cupola_operator.report.bars import Mark, ScoreRow, score_rows
from cupola_operator.report.evidence import Subject
from cupola_operator.report.html import Child, Html, code, details, el, paragraph, table
from cupola_operator.report.section import Section

_SAMPLES = 6
"""Prompts that are shown of each task."""
_CHARACTERS = 2000
"""Of each text that is shown."""


def sections(subject: Subject) -> list[Section]:
    """What an Evaluation's section holds besides what all have."""
    scores = scores_of(subject)
    if not scores:
        quiet = el("p", "There are no scores yet.", class_="quiet")
        return [Section("Scores", [quiet])]
    return [
        Section("Scores", _scores(subject, scores)),
        Section("Thresholds", _thresholds(subject)),
        Section("Samples", _samples(subject)),
    ]


def scores_of(subject: Subject) -> list[Score]:
    """What was measured."""
    return subject.status.scores if isinstance(subject.status, EvaluationStatus) else []


def models(subject: Subject) -> tuple[str, str | None]:
    """The names of the model and of the one beside it."""
    if not isinstance(subject.resource, Evaluation):
        return subject.key.name, None
    spec = subject.resource.spec
    return spec.model.name, spec.compare_to.name if spec.compare_to else None


def direction(score: Score) -> str:
    """Which way a score is better."""
    return "higher is better" if score.higher_is_better else "lower is better"


def verdict(score: Score) -> str:
    """How the model compares with the other one: in standard errors where both are known.

    The difference of two independent values has the standard error sqrt(a^2 + b^2); two of those
    are taken as clear.
    """
    if score.compared_to is None:
        return ""
    gain = score.value - score.compared_to
    if not score.higher_is_better:
        gain = -gain
    if gain == 0:
        return "the same"
    errors = (score.standard_error, score.compared_standard_error)
    word = "better" if gain > 0 else "worse"
    if errors[0] is None or errors[1] is None or not any(errors):
        return word
    distance = abs(gain) / math.hypot(errors[0], errors[1])
    if distance < 2:
        return "no clear difference"
    return f"{word}, by {distance:.1f} standard errors"


def value(amount: float | None, error: float | None) -> str:
    """A value with its standard error."""
    if amount is None:
        return words.NONE
    return words.number(amount) + (f" ± {words.number(error, 2)}" if error else "")


def _scores(subject: Subject, scores: Sequence[Score]) -> list[Html]:
    model, other = models(subject)
    rows = []
    for score in scores:
        marks = [Mark(model, score.value, score.standard_error, "model")]
        if other and score.compared_to is not None:
            marks.append(Mark(other, score.compared_to, score.compared_standard_error, "other"))
        name = f"{score.task}: {score.metric}"
        rows.append(ScoreRow(name, direction(score), marks, score.chance))
    said = "Dots are scores; bars reach one standard error to each side; dashes are chance."
    legend = [("swatch round model", model)]
    legend += [("swatch round other", other)] if other else []
    legend += [("swatch chance", "chance")] if any(s.chance is not None for s in scores) else []
    return [
        el(
            "figure",
            el("figcaption", f"Scores of {model}" + (f" beside {other}" if other else "")),
            score_rows("Scores", said, rows),
            el(
                "ul",
                *(el("li", el("span", class_=style), name) for style, name in legend),
                class_="legend",
            ),
        ),
        paragraph(said),
        _table(scores, model, other),
    ]


def _table(scores: Sequence[Score], model: str, other: str | None) -> Html:
    head = ["Task", "Metric", "Better", model]
    head += [other, "Verdict"] if other else []
    rows: list[list[Child]] = []
    for score in scores:
        row: list[Child] = [score.task, score.metric, direction(score).partition(" ")[0]]
        row.append(value(score.value, score.standard_error))
        if other:
            row += [value(score.compared_to, score.compared_standard_error), verdict(score)]
        rows.append([*row, words.number(score.chance), f"{score.samples:,}"])
    numbers = (3, 4, 6, 7) if other else (3, 4, 5)
    return table([*head, "Chance", "Samples"], rows, numeric=numbers)


def _thresholds(subject: Subject) -> list[Html]:
    resource = subject.resource
    thresholds = resource.spec.thresholds if isinstance(resource, Evaluation) else []
    if not thresholds:
        return [paragraph("This Evaluation has no thresholds: it measures, and judges nothing.")]
    failed = (
        subject.status.failed_thresholds if isinstance(subject.status, EvaluationStatus) else []
    )
    rows = [(t.task, t.metric, wanted(t)) for t in thresholds]
    verdict = (
        el("ul", *(el("li", sentence, class_="bad") for sentence in failed))
        if failed
        else paragraph("All thresholds are met.")
    )
    return [table(("Task", "Metric", "Wanted"), rows), verdict]


def wanted(threshold: Threshold) -> str:
    """What a threshold asks for, in words."""
    parts = []
    if threshold.min is not None:
        parts.append(f"at least {words.number(threshold.min)}")
    if threshold.max is not None:
        parts.append(f"at most {words.number(threshold.max)}")
    if threshold.max_drop is not None:
        drop = words.number(threshold.max_drop)
        worse = "no worse" if threshold.max_drop == 0 else f"at most {drop} worse"
        parts.append(f"{worse} than the other model")
    return ", ".join(parts)


def _samples(subject: Subject) -> list[Html]:
    if not subject.samples:
        return [el("p", "No samples lie on this machine.", class_="quiet")]
    model, other = models(subject)
    made = [paragraph("What models made of some of the prompts: not selected, the first ones.")]
    for task in dict.fromkeys(str(sample.get("task", "")) for sample in subject.samples):
        mine = [sample for sample in subject.samples if str(sample.get("task", "")) == task]
        prompts = dict.fromkeys(_prompt(sample) for sample in mine)
        cards = [
            _card(prompt, [s for s in mine if _prompt(s) == prompt], (model, other))
            for prompt in list(prompts)[:_SAMPLES]
        ]
        name = f"{task}: {words.plural(len(cards), 'prompt')}"
        made.append(details(name, *cards, shown=len(made) == 1))
    return made


def _prompt(sample: Mapping[str, Any]) -> str:
    return _text(sample.get("prompt", ""))


def _card(prompt: str, samples: Sequence[Mapping[str, Any]], order: tuple[str, str | None]) -> Html:
    """A prompt and what each model made of it."""
    by_model = sorted(
        samples, key=lambda s: order.index(s["model"]) if s.get("model") in order else len(order)
    )
    return el(
        "article",
        el("h4", "Prompt") if prompt else None,
        code(prompt) if prompt else None,
        el("div", *(_answer(sample) for sample in by_model), class_="answers"),
        class_="sample",
    )


def _answer(sample: Mapping[str, Any]) -> Html:
    """What one model made of a prompt: its texts whole, everything else in a line."""
    shown = {k: v for k, v in sample.items() if k not in ("task", "model", "prompt")}
    texts = {k: v for k, v in shown.items() if isinstance(v, str) and ("\n" in v or len(v) > 40)}
    texts |= {k: v for k, v in shown.items() if k in ("answer", "target", "text")}
    facts = [f"{k}: {_text(v)}" for k, v in shown.items() if k not in texts]
    return el(
        "div",
        el("h5", str(sample.get("model", ""))),
        *(el("div", el("p", k, class_="label"), code(_text(v))) for k, v in texts.items()),
        paragraph("; ".join(facts)) if facts else None,
    )


def _text(value: Any) -> str:
    """A value of a sample as text that fits."""
    text = value if isinstance(value, str) else words.plain(value)
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…"
