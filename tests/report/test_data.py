from __future__ import annotations

from typing import Any

from cupola_api.dataset import DatasetStatus
from cupola_operator.report.data import sections
from cupola_operator.report.evidence import Subject

from .datasets import KEY, dataset


def page(**summary: Any) -> str:
    """The sections of a Dataset, as text."""
    resource = dataset()
    common = {
        "tokens": 900,
        "validationTokens": 10,
        "vocabulary": 600,
        "tokenizerDigest": "sha256:" + "0" * 64,
    }
    status = DatasetStatus.model_validate({"summary": {**common, **summary}})
    found = sections(Subject(KEY, resource, status))
    return "\n".join(str(part) for section in found for part in section.body)


DROPPED = [
    {"name": "near-duplicate", "count": 15},
    {"name": "stop-words", "count": 4},
    {"name": "exact-duplicate", "count": 5},
]


def test_every_document_is_accounted_for() -> None:
    text = page(
        documentsRead=100,
        documentsKept=70,
        dropped=DROPPED,
        quarantined=[{"name": "invalid-json", "count": 6}],
    )
    for row in (
        ("Kept", "70", "70.0 %"),
        ("Dropped: stop-words", "4", "4.0 %"),
        ("Dropped: copies, the same text", "5", "5.0 %"),
        ("Dropped: copies, nearly the same text", "15", "15.0 %"),
        ("Quarantined: invalid-json", "6", "6.0 %"),
        ("Read", "100", "100.0 %"),
    ):
        head, *cells = row
        position = text.index(f">{head}</th>")
        assert [cell in text[position : position + 160] for cell in cells] == [True, True], row
    assert "6 documents could not be read and went into quarantine" in text
    assert "24 of 100 documents (24.0 %) were dropped." in text
    assert "not whole" not in text


def test_without_anything_broken_quarantine_is_not_spoken_of() -> None:
    text = page(documentsRead=94, documentsKept=70, dropped=DROPPED)
    assert "uarantine" not in text


def test_a_summary_that_does_not_add_up_says_so() -> None:
    text = page(documentsRead=120, documentsKept=70, dropped=DROPPED)
    assert "The rows add up to 94: the summary is not whole." in text
