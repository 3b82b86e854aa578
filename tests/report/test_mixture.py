from __future__ import annotations

from typing import Any

from cupola_api.dataset import DatasetStatus
from cupola_api.mixture import Mixture
from cupola_operator.report.evidence import Subject
from cupola_operator.report.mixture import sections

from .datasets import KEY, dataset

SUMMARY = {
    "documentsRead": 120,
    "documentsKept": 100,
    "tokens": 9000,
    "validationTokens": 100,
    "vocabulary": 600,
    "tokenizerDigest": "sha256:" + "0" * 64,
}
MIXTURE = {
    "sources": [
        {"name": "web", "documents": 75, "bytes": 30_000, "tokens": 6825},
        {"name": "notes", "documents": 25, "bytes": 10_000, "tokens": 2275},
    ],
    "lengths": [{"tokens": 64, "documents": 40}, {"tokens": 128, "documents": 60}],
    "diversity": {
        "tokens": 9000,
        "entropy": 5.25,
        "distinctBigrams": 0.5,
        "distinctTrigrams": 0.75,
        "compression": 3.125,
    },
}


def page(mixture: dict[str, Any] | None, **summary: Any) -> str:
    """The sections of a Dataset, as text."""
    resource = dataset()
    status = DatasetStatus.model_validate({"summary": {**SUMMARY, **summary}})
    subject = Subject(
        KEY,
        resource,
        status,
        mixture=Mixture.model_validate(mixture) if mixture else None,
    )
    return "\n".join(str(part) for section in sections(subject) for part in section.body)


def test_shares_lengths_and_diversity_are_shown() -> None:
    text = page(MIXTURE)
    assert "web: 6,825 tokens (75.0 %)" in text
    assert "notes: 2,275 tokens (25.0 %)" in text
    assert "up to 128 tokens: 60 documents (60.0 %)" in text
    assert "5.25 nats" in text
    assert "75.0 %" in text
    assert "3.12" in text


def test_wanted_and_reached_shares_are_shown_with_what_bounds_them() -> None:
    mixing = [
        {"name": "web", "wanted": 0.5, "reached": 0.7, "passes": 0.9},
        {"name": "notes", "wanted": 0.5, "reached": 0.3, "passes": 4.0},
    ]
    text = page({**MIXTURE, "mixing": mixing})
    assert "30.0 %" in text
    assert "4.00" in text
    assert "notes: less than was wanted, as spec.mixing.maxRepeats" in text
    mixing[1]["reached"] = mixing[0]["reached"] = 0.5
    assert "less than was wanted" not in page({**MIXTURE, "mixing": mixing})


def test_domains_are_shown_the_rest_of_them_together() -> None:
    domains = [
        {"name": "example.org", "documents": 3, "tokens": 60},
        {"documents": 2, "tokens": 40},
    ]
    text = page({**MIXTURE, "domains": domains})
    assert "example.org: 60 tokens (60.0 %)" in text
    assert "all others: 40 tokens (40.0 %)" in text


def test_languages_and_clusters_of_copies_are_shown() -> None:
    languages = [{"name": "en", "count": 90}, {"name": "de", "count": 30}]
    clusters = [{"size": 2, "count": 5}, {"size": 4, "count": 3}, {"count": 1}]
    text = page(None, languages=languages, clusters=clusters)
    assert "de: 30 documents (25.0 %)" in text
    assert "2 documents: 5 clusters" in text
    assert "3 to 4 documents: 3 clusters" in text
    assert "more than 4: 1 clusters" in text
    assert "9 documents had copies" in text


def test_without_anything_known_there_is_no_section() -> None:
    assert page(None) == ""
