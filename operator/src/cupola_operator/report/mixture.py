"""The section of a Dataset on what its documents are like: by source, language, length; how diverse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cupola_api.dataset import ClusterCount, DatasetStatus, DatasetSummary
from cupola_api.mixing import SourceMix
from cupola_api.mixture import Diversity, DomainShare, Mixture
from cupola_operator.report import words
from cupola_operator.report.bars import Bar, Part, bars
from cupola_operator.report.evidence import Subject
from cupola_operator.report.html import Html, details, paragraph, table
from cupola_operator.report.section import Section

_APART = 0.005
"""Shares that differ by less are the same to a reader."""


def sections(subject: Subject) -> list[Section]:
    """What is known of the mixture; nothing, if the artifact is not on this machine."""
    summary = subject.status.summary if isinstance(subject.status, DatasetStatus) else None
    body = [
        *(_mixed(subject.mixture) if subject.mixture else ()),
        *(_read(summary) if summary else ()),
    ]
    return [Section("Mixture and diversity", body)] if body else []


def _mixed(mixture: Mixture) -> Iterator[Html]:
    tokens = sum(source.tokens for source in mixture.sources)
    yield _chart(
        "Tokens by source",
        f"{tokens:,} tokens, by the source that they are from.",
        [(source.name, source.tokens) for source in mixture.sources],
        "tokens",
    )
    rows = [
        (one.name, f"{one.documents:,}", f"{one.tokens:,}", words.share(one.tokens, tokens))
        for one in mixture.sources
    ]
    yield details(
        "Values", table(("Source", "Documents", "Tokens", "Share"), rows, numeric=(1, 2, 3))
    )
    if mixture.mixing:
        yield from _weighed(mixture.mixing)
    if mixture.domains:
        yield from _domains(mixture.domains)
    if mixture.lengths:
        yield _chart(
            "Documents by length",
            "Documents by their tokens; each row holds those up to twice as long as the one above.",
            [(f"up to {one.tokens:,} tokens", one.documents) for one in mixture.lengths],
            "documents",
        )
    if mixture.diversity:
        yield _diversity(mixture.diversity)


def _weighed(sources: Sequence[SourceMix]) -> Iterator[Html]:
    rows = [
        (
            one.name,
            words.share(one.wanted, 1),
            words.share(one.reached, 1),
            f"{one.passes:.2f}",
        )
        for one in sources
    ]
    yield table(
        ("Source", "Share wanted", "Share reached", "Passes"),
        rows,
        caption="The training tokens, as the sources are mixed",
        numeric=(1, 2, 3),
    )
    short = [one.name for one in sources if one.wanted - one.reached > _APART]
    if short:
        yield paragraph(
            f"{', '.join(short)}: less than was wanted, as spec.mixing.maxRepeats bounds how often "
            "documents come, or as there are few of them. The other sources give what is missing."
        )


def _domains(domains: Sequence[DomainShare]) -> Iterator[Html]:
    named = sum(1 for one in domains if one.name)
    yield _chart(
        "Tokens by domain",
        f"{sum(one.tokens for one in domains):,} tokens of documents whose address is known, by "
        f"domain; the {named} with the most.",
        [(one.name or "all others", one.tokens) for one in domains],
        "tokens",
    )


def _diversity(found: Diversity) -> Html:
    rows = [
        ("Different pairs of tokens", words.share(found.distinct_bigrams, 1)),
        ("Different runs of three tokens", words.share(found.distinct_trigrams, 1)),
        ("Entropy of single tokens", f"{found.entropy:.2f} nats"),
        ("Bytes of text by compressed ones", f"{found.compression:.2f}"),
    ]
    return table(
        ("How diverse it is", "Value"),
        rows,
        caption=f"On {words.plural(found.tokens, 'token')} of documents drawn at random; text that "
        "repeats itself has fewer different runs and compresses better",
        numeric=(1,),
    )


def _read(summary: DatasetSummary) -> Iterator[Html]:
    if summary.languages:
        yield _chart(
            "Documents by language",
            "Documents as they were read, by language.",
            [(one.name, one.count) for one in summary.languages],
            "documents",
        )
    if summary.clusters:
        copies = sum(one.count for one in summary.clusters)
        yield _chart(
            "Clusters of copies by size",
            f"{words.plural(copies, 'document')} had copies; how many, with the one that stayed.",
            list(_sizes(summary.clusters)),
            "clusters",
        )
        yield paragraph("Of each cluster one document stayed.")


def _sizes(clusters: Sequence[ClusterCount]) -> Iterator[tuple[str, int]]:
    before = 1
    for one in clusters:
        if one.size is None:
            yield f"more than {before:,}", one.count
        else:
            low = f"{before + 1:,} to " if one.size > before + 1 else ""
            yield f"{low}{one.size:,} documents", one.count
            before = one.size


def _chart(title: str, said: str, counts: Sequence[tuple[str, int]], unit: str) -> Html:
    total = sum(count for _, count in counts)
    rows = [
        Bar(
            name,
            [Part(0, count, "c0", f"{name}: {count:,} {unit} ({words.share(count, total)})")],
            f"{count:,}",
        )
        for name, count in counts
    ]
    return bars(title, said, rows, unit=unit)
