"""The section of a Dataset about text that a model wrote."""

from __future__ import annotations

from cupola_api.dataset import DatasetStatus
from cupola_api.mixture import Mixture
from cupola_api.synthetic import SyntheticSummary
from cupola_operator.report import words
from cupola_operator.report.evidence import Subject
from cupola_operator.report.html import Html, paragraph, table
from cupola_operator.report.section import Section


def sections(subject: Subject) -> list[Section]:
    """What was asked for, what came of it, and how much of the data it is."""
    status = subject.status
    if not isinstance(status, DatasetStatus) or status.synthetic is None:
        return []
    made = status.synthetic
    currency = status.cost.currency if status.cost else None
    found: list[Html] = [_counts(made, currency)]
    if made.budget_used_up:
        found.append(
            paragraph(
                f"The budget was used up after {made.requests:,} of {made.documents:,} answers."
            )
        )
    if subject.mixture:
        found.append(paragraph(share(made, subject.mixture)))
    found.append(paragraph(f"Prompts {made.prompts}; what was written lies in {made.uri}."))
    return [Section("Text that a model wrote", found)]


def share(made: SyntheticSummary, mixture: Mixture) -> str:
    """How much of the documents and tokens that stayed is of that model, in a sentence."""
    mine = next((one for one in mixture.sources if one.name == made.source), None)
    tokens = mine.tokens if mine else 0
    documents = mine.documents if mine else 0
    whole = sum(one.tokens for one in mixture.sources)
    return (
        f"{made.model} wrote {words.share(tokens, whole)} of the tokens that stayed: "
        f"{tokens:,} tokens in {documents:,} documents."
    )


def _counts(made: SyntheticSummary, currency: str | None) -> Html:
    rows = [
        ("Answers asked for", f"{made.requests:,}", words.share(made.requests, made.documents)),
        ("Documents", f"{made.made:,}", words.share(made.made, made.requests)),
        ("of them cut off", f"{made.truncated:,}", words.share(made.truncated, made.requests)),
        ("Empty answers", f"{made.empty:,}", words.share(made.empty, made.requests)),
        ("Failed requests", f"{made.failed:,}", words.share(made.failed, made.requests)),
        ("Tokens of prompts", f"{made.input_tokens:,}", ""),
        ("Tokens of answers", f"{made.output_tokens:,}", ""),
    ]
    if made.cost is not None:
        rows.append(("Taken by the endpoint", f"{made.cost} {currency or ''}".strip(), ""))
    return table(
        ("What", "Count", "Share"),
        rows,
        caption=f"Source {made.source}, written by {made.model}",
        numeric=(1, 2),
    )
