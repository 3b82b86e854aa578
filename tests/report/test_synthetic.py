from __future__ import annotations

from typing import Any

from cupola_api.artifact import digest_of
from cupola_api.dataset import DatasetStatus
from cupola_api.mixture import Mixture
from cupola_operator.report import data
from cupola_operator.report.evidence import Subject

from .datasets import KEY, dataset

MADE = {
    "source": "written", "model": "writer", "prompts": digest_of("p"), "uri": "file:///w",
    "digest": digest_of("w"), "documents": 1000, "requests": 800, "made": 780, "empty": 15,
    "failed": 5, "truncated": 39, "inputTokens": 90_000, "outputTokens": 120_000, "cost": "1.25",
    "budgetUsedUp": True,
}  # fmt: skip
MIXTURE = {
    "sources": [
        {"name": "pages", "documents": 300, "bytes": 30_000, "tokens": 6000},
        {"name": "written", "documents": 700, "bytes": 10_000, "tokens": 2000},
    ],
    "lengths": [],
}


def page(synthetic: dict[str, Any] | None) -> str:
    resource = dataset(
        {"name": "pages", "uri": "store:///pages", "format": "Jsonl"},
        {
            "name": "written",
            "synthetic": {
                "model": {"endpoint": {"url": "https://h/v1", "model": "writer"}},
                "prompts": [{"name": "p", "text": "{text}"}],
                "seeds": {"source": "pages"},
                "documents": 1000,
            },
        },
    )
    status = DatasetStatus.model_validate({"synthetic": synthetic} if synthetic else {})
    mixture = Mixture.model_validate(MIXTURE)
    subject = Subject(KEY, resource, status, mixture=mixture)
    return "\n".join(str(part) for one in data.sections(subject) for part in one.body)


def test_what_a_model_wrote_is_told_with_its_share() -> None:
    text = page(MADE)
    assert "written by writer" in text
    assert "writer wrote 25.0 % of the tokens that stayed: 2,000 tokens in 700 documents." in text
    assert "The budget was used up after 800 of 1,000 answers." in text
    for figure in ("780", "97.5 %", "120,000", "1.25"):
        assert figure in text


def test_before_it_is_written_there_is_nothing_to_tell() -> None:
    text = page(None)
    assert "written by writer" in text
    assert "of the tokens that stayed" not in text
