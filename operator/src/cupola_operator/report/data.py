"""The section of a Dataset: what went in, what stayed, what was dropped and why."""

from __future__ import annotations

from collections.abc import Sequence

from cupola_api.dataset import AnySource, Dataset, DatasetStatus, DatasetSummary, RuleCount
from cupola_operator.report import mixture, synthetic, words
from cupola_operator.report.bars import Bar, Part, bars
from cupola_operator.report.evidence import Subject
from cupola_operator.report.html import Html, details, el, paragraph, table
from cupola_operator.report.section import Section


def sections(subject: Subject) -> list[Section]:
    """What a Dataset's section holds besides what all have."""
    if not isinstance(subject.resource, Dataset):
        return []
    summary = subject.status.summary if isinstance(subject.status, DatasetStatus) else None
    sources = table(
        ("Source", "Format", "Place"),
        (_source(source) for source in subject.resource.spec.sources),
        caption="What was read",
    )
    if summary is None:
        quiet = el(
            "p", "The data is not finished, so there is nothing to count yet.", class_="quiet"
        )
        return [Section("Data", [sources, quiet]), *synthetic.sections(subject)]
    return [
        Section("Data", [sources, _counts(summary), *_accounted(summary)]),
        *mixture.sections(subject),
        *synthetic.sections(subject),
        Section("What was dropped, and by which rule", _dropped(summary)),
        Section("Private data", _redacted(summary)),
    ]


def _source(source: AnySource) -> tuple[str, str, str]:
    if source.synthetic:
        return source.name, "Synthetic", f"written by {source.synthetic.model.said}"
    return source.name, source.format.value if source.format else "", source.uri or ""


def _counts(summary: DatasetSummary) -> Html:
    kept, read = summary.documents_kept, summary.documents_read
    rows = [
        ("Documents read", f"{read:,}", ""),
        ("Documents kept", f"{kept:,}", words.share(kept, read)),
        ("Tokens for training", f"{summary.tokens:,}", ""),
        ("Tokens held out", f"{summary.validation_tokens:,}", ""),
    ]
    if summary.examples:
        rows += [
            ("Examples (prompt and answer)", f"{summary.examples:,}", ""),
            ("Examples held out", f"{summary.validation_examples:,}", ""),
        ]
    rows.append(("Entries of the tokenizer", f"{summary.vocabulary:,}", ""))
    return table(("What", "Count", "Share"), rows, caption="What came out", numeric=(1, 2))


COPIES = {
    "exact-duplicate": "copies, the same text",
    "near-duplicate": "copies, nearly the same text",
    "few-new-lines": "too little left without lines that occurred before",
}
"""Rules of de-duplication, in words."""


def _accounted(summary: DatasetSummary) -> list[Html]:
    """What became of every document that was read."""
    read = summary.documents_read
    dropped = _ordered(summary.dropped)
    rows = [
        ("Kept", summary.documents_kept),
        *((f"Dropped: {c.name}", c.count) for c in dropped if c.name not in COPIES),
        *((f"Dropped: {COPIES[c.name]}", c.count) for c in dropped if c.name in COPIES),
        *((f"Quarantined: {c.name}", c.count) for c in _ordered(summary.quarantined)),
    ]
    found = sum(count for _, count in rows)
    said = [
        table(
            ("What became of it", "Documents", "Share"),
            ((name, f"{count:,}", words.share(count, read)) for name, count in rows),
            sums=[("Read", f"{read:,}", words.share(read, read))],
            caption="Where every document went",
            numeric=(1, 2),
        )
    ]
    if found != read:
        said.append(paragraph(f"The rows add up to {found:,}: the summary is not whole."))
    if broken := sum(c.count for c in summary.quarantined):
        said.append(
            paragraph(
                f"{words.plural(broken, 'document')} could not be read and went into quarantine: "
                "quarantine.jsonl in the artifact says where each was and what is wrong with it."
            )
        )
    return said


def _dropped(summary: DatasetSummary) -> list[Html]:
    if not summary.dropped:
        return [paragraph("No document was dropped.")]
    total = summary.documents_read
    gone = sum(c.count for c in summary.dropped)
    said = f"{gone:,} of {total:,} documents ({words.share(gone, total)}) were dropped."
    return [
        paragraph(said, " Each is counted under the rule that dropped it."),
        _chart("Documents dropped, by rule", said, summary.dropped, "documents", of=total),
        _listed(summary.dropped, "Rule", "Documents"),
    ]


def _redacted(summary: DatasetSummary) -> list[Html]:
    if not summary.redacted:
        return [paragraph("Nothing was replaced.")]
    total = sum(count.count for count in summary.redacted)
    said = f"{words.plural(total, 'finding')} of private data, by kind."
    return [
        _chart("Findings of private data, by kind", said, summary.redacted, "findings"),
        _listed(summary.redacted, "Kind", "Findings"),
    ]


def _ordered(counts: Sequence[RuleCount]) -> list[RuleCount]:
    return sorted(counts, key=lambda c: (-c.count, c.name))


def _chart(
    title: str, said: str, counts: Sequence[RuleCount], unit: str, of: int | None = None
) -> Html:
    rows = []
    for c in _ordered(counts):
        share = f" ({words.share(c.count, of)})" if of else ""
        title_of_bar = f"{c.name}: {c.count:,} {unit}{share}"
        rows.append(Bar(c.name, [Part(0, c.count, "c0", title_of_bar)], f"{c.count:,}"))
    return bars(title, said, rows, unit=unit)


def _listed(counts: Sequence[RuleCount], what: str, unit: str) -> Html:
    rows = ((c.name, f"{c.count:,}") for c in _ordered(counts))
    return details("Values", table((what, unit), rows, numeric=(1,)))
