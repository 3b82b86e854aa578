from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cupola_api.dataset import DatasetSpec
from cupola_api.kinds import parse
from cupola_api.mixing import SourceMix
from cupola_api.outcome import MAX_BYTES, Outcome, OutcomeKind, read


def spec(*weights: float | None, **fields: Any) -> DatasetSpec:
    sources = []
    for number, weight in enumerate(weights):
        source = {"name": f"s{number}", "uri": "store:///d", "format": "Jsonl"}
        sources.append(source | ({"weight": weight} if weight is not None else {}))
    return DatasetSpec.model_validate({"sources": sources, **fields})


@pytest.mark.parametrize(
    ("weights", "fields"),
    [
        ((1, 2.5), {}),
        ((1, 2.5), {"mixing": {"maxRepeats": 1}}),
        ((None, None), {"mixing": {"temperature": 3.33, "tokens": "20B"}}),
        ((None,), {"mixing": {"tokens": "20B"}}),
    ],
)
def test_shares_are_said_once(weights: tuple[float | None, ...], fields: dict[str, Any]) -> None:
    spec(*weights, **fields)


@pytest.mark.parametrize(
    ("weights", "fields", "sentence"),
    [
        ((1, None), {}, "give all of them a weight, or none"),
        ((1, 1), {"mixing": {"temperature": 2}}, "either a weight in each source or mixing.temp"),
        ((None,), {"mixing": {}}, "give each source a weight, or write mixing.temperature"),
        ((None,), {"mixing": {"maxRepeats": 2}}, "mixing needs to know the shares"),
        ((1,), {"mixing": {"tokens": "0"}}, "mixing.tokens must be more than 0"),
        ((1,), {"task": {"input": "a", "output": "b"}}, "make two Datasets"),
        (
            (None,),
            {"task": {"input": "a", "output": "b"}, "mixing": {"tokens": "1B"}},
            "make two Datasets",
        ),
        ((0, 1), {}, "greater than 0"),
        ((-1, 1), {}, "greater than 0"),
        ((None,), {"mixing": {"temperature": 0.5}}, "greater than or equal to 1"),
        ((1,), {"mixing": {"maxRepeats": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_mixed_is_refused(
    weights: tuple[float | None, ...], fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        spec(*weights, **fields)


def test_a_full_summary_with_eight_sources_fits_into_the_last_words_of_a_pod() -> None:
    counts = [{"name": f"rule-of-a-usual-length-{n:02}", "count": 10**9 + n} for n in range(25)]
    mixing = [
        SourceMix(name=f"source-with-a-name-{n}", wanted=0.1234, reached=0.1234, passes=3.1234)
        for n in range(8)
    ]
    said = Outcome.model_validate(
        {
            "outcome": OutcomeKind.SUCCEEDED,
            "message": "1,000,000,000 of 2,000,000,000 documents, 1,000,000,000,000 tokens",
            "artifact": {
                "uri": "s3://a-bucket-of-the-team/models/default/dataset/web/0123456789abcdef",
                "digest": "sha256:" + "a" * 64,
                "bytes": 10**13,
            },
            "dataset": {
                "documentsRead": 10**9,
                "documentsKept": 10**8,
                "dropped": counts,
                "languages": [{"name": "en", "count": 10**9} for _ in range(13)],
                "quarantined": [{"name": "invalid-utf8", "count": 10**6} for _ in range(9)],
                "redacted": [{"name": "IpAddress", "count": 10**6} for _ in range(7)],
                "clusters": [{"size": 2**n, "count": 10**6} for n in range(1, 12)],
                "tokens": 10**12,
                "validationTokens": 10**10,
                "vocabulary": 32_000,
                "tokenizerDigest": "sha256:" + "b" * 64,
                "mixing": [one.to_json() for one in mixing],
            },
        }
    )
    assert len(said.write().encode()) <= MAX_BYTES
    assert read(said.write()) == said


def test_the_examples_are_mixed_by_weight_and_by_temperature() -> None:
    text = Path("manifests/examples/mixture/dataset.yaml").read_text()
    one, other = (parse(value).spec for value in yaml.safe_load_all(text))
    assert [source.weight for source in one.sources] == [6, 3, 1]
    assert other.mixing.temperature == 3.33
