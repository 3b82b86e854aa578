"""The whole page: one file that needs no other, no network and no script."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from cupola_operator.report import (
    attempts,
    comparison,
    data,
    evaluation,
    money,
    provenance,
    summary,
    training,
)
from cupola_operator.report.evidence import Evidence, Subject
from cupola_operator.report.html import Html, el, paragraph
from cupola_operator.report.section import Section, bodies, contents

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Nothing is loaded and nothing runs, whatever a text in the page says."""

_OF_KIND = {
    "Dataset": data.sections,
    "PretrainJob": training.sections,
    "FineTune": training.sections,
    "Evaluation": evaluation.sections,
}


def render(evidence: Evidence) -> str:
    """The report as HTML. The same evidence gives the same text."""
    target = evidence.target
    sections = [
        summary.section(evidence),
        *(_resource(subject) for subject in evidence.subjects),
        money.section(evidence.subjects),
        provenance.section(evidence),
    ]
    return whole(
        f"Report on {target.title}",
        _subtitle(target),
        sections,
        "Made by cupola report from a work directory of cupola run.",
    )


def whole(title: str, subtitle: Html, sections: Sequence[Section], made: str) -> str:
    """A page of sections; `made`: what its last line says of where it is from."""
    style = (files("cupola_operator.report") / "style.css").read_text()
    page = el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("meta", name="color-scheme", content="light dark"),
            el("title", title),
            el("style", Html(style)),
        ),
        el(
            "body",
            el("header", el("h1", title), subtitle),
            contents(sections),
            el("main", *bodies(sections)),
            el("footer", paragraph(made)),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


def _subtitle(target: Subject) -> Html:
    revision = target.status.run.revision if target.status.run else target.resource.spec.revision
    return el("p", f"Namespace {target.key.namespace}, revision {revision}", class_="quiet")


def _resource(subject: Subject) -> Section:
    """The section of one resource."""
    return Section(
        subject.title,
        [],
        [
            attempts.configuration(subject),
            *comparison.sections(subject),
            *_OF_KIND[subject.key.kind](subject),
            attempts.happened(subject),
            attempts.attempts(subject),
        ],
    )
