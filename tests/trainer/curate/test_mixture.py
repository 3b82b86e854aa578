from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_trainer.curate import domains
from cupola_trainer.curate.domains import Domains
from cupola_trainer.curate.mixture import Counts, diversity, first_tokens, mixture
from cupola_trainer.shards import write_shard


def test_documents_are_counted_by_source_and_length() -> None:
    counts = Counts()
    counts.see(["web", "web", "notes"], ["one", "two zwei", "drei"], [1, 5, 8], [None] * 3)
    assert counts.sources["web"] == {"documents": 2, "bytes": 11, "tokens": 6}
    assert counts.sources["notes"] == {"documents": 1, "bytes": 4, "tokens": 8}
    assert counts.lengths == {1: 1, 8: 2}


seen = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.text(max_size=20),
        st.integers(0, 300),
        st.sampled_from([None, "https://www.a.org/x", "http://b.net", "?"]),
    ),
    max_size=12,
)


@given(seen, seen)
def test_sums_of_counts_are_the_counts_of_all(one: list[tuple], other: list[tuple]) -> None:
    def counted(*parts: list[tuple]) -> Counts:
        total = Counts()
        for part in parts:
            counts = Counts()
            if part:
                counts.see(*zip(*part, strict=True))
            total.add(Counts.from_json(counts.to_json()))
        return total

    def of(counts: Counts) -> object:
        return {k: v for k, v in counts.sources.items() if v}, counts.lengths, counts.domains

    assert of(counted(one, other)) == of(counted(other, one)) == of(counted(one + other))


def test_tokens_are_counted_by_domain_and_the_rare_ones_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(domains, "SHOWN", 2)
    found = Domains()
    for url, tokens in (
        ("https://www.a.org/x?y", 5),
        ("http://A.org:80/", 6),
        ("b.net/z", 7),
        ("https://c.com", 3),
        ("/no/domain", 2),
        (None, 100),
    ):
        found.see(url, tokens)
    assert [(one.name, one.documents, one.tokens) for one in found.shares()] == [
        ("a.org", 2, 11),
        ("b.net", 1, 7),
        (None, 2, 5),
    ]


def test_a_part_tells_its_frequent_domains_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domains, "KEPT", 1)
    total = Domains()
    for common in ("a.org", "a.org", "b.net"):
        part = Domains()
        part.see(f"https://{common}", 9)
        part.see("https://rare.net", 1)
        total.add(Domains.from_json(part.to_json()))
    assert [(one.name, one.tokens) for one in total.shares()] == [
        ("a.org", 18),
        ("b.net", 9),
        (None, 3),
    ]


def test_text_that_repeats_itself_is_less_diverse_than_text_that_does_not() -> None:
    rng = np.random.default_rng(0)
    varied = diversity(rng.integers(0, 5000, 20_000), 2.0)
    dull = diversity(np.tile(np.arange(50), 400), 9.0)
    assert varied.distinct_trigrams > 0.99
    assert dull.distinct_trigrams == pytest.approx(50 / 20_000, abs=1e-4)
    assert varied.entropy > dull.entropy == pytest.approx(np.log(50), abs=1e-3)


def test_one_token_is_a_sample_too() -> None:
    alone = diversity(np.array([7]), 1.0)
    assert (alone.entropy, alone.distinct_bigrams, alone.distinct_trigrams) == (0, 1, 1)


def test_the_sample_is_the_beginning_of_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cupola_trainer.curate.mixture.SAMPLE_TOKENS", 5)
    for shard in range(3):
        write_shard(tmp_path, shard, [[10 * shard, 10 * shard + 1, 0]], 600)
    assert first_tokens(tmp_path, 600).tolist() == [0, 1, 0, 10, 11]


def test_a_source_of_which_nothing_stayed_is_named(tmp_path: Path) -> None:
    counts = Counts()
    counts.see(["web"], ["text"], [2], [None])
    write_shard(tmp_path, 0, [[5, 0]], 600)
    made = mixture(counts, ["web", "empty"], tmp_path, 600)
    assert [(one.name, one.documents) for one in made.sources] == [("web", 1), ("empty", 0)]
    assert made.diversity is not None
    assert made.diversity.compression > 0
