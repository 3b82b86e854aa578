from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.curate.texts import Spans, Texts, mix, n_grams

ALPHABET = st.sampled_from(
    ["a", "b", "Z", "_", "7", ".", "-", " ", "\t", "\n", "é", "漢", "😀", "€"]
)
DOCUMENTS = st.lists(st.text(ALPHABET, max_size=30), max_size=6)


def pieces(texts: Texts, spans: Spans) -> list[list[str]]:
    found: list[list[str]] = [[] for _ in range(len(texts))]
    for start, end, document in zip(spans.start, spans.end, spans.document, strict=True):
        found[document].append(texts.data[start:end].tobytes().decode())
    assert [len(f) for f in found] == spans.counts.tolist()
    return found


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_pieces_are_those_of_the_obvious_definitions(documents: list[str]) -> None:
    texts = Texts(documents)
    assert pieces(texts, texts.tokens) == [d.split() for d in documents]
    assert pieces(texts, texts.lines) == [
        [line.strip() for line in d.split("\n") if line.strip()] for d in documents
    ]
    assert pieces(texts, texts.paragraphs) == [
        [p.strip() for p in re.split(r"\n(?:[ \t]*\n)+", d) if p.strip()] for d in documents
    ]
    assert pieces(texts, texts.words) == [
        re.findall(r"[漢😀€]|[A-Za-z0-9_é]+", d) for d in documents
    ]


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_lengths_are_in_characters(documents: list[str]) -> None:
    texts = Texts(documents)
    assert texts.lengths(texts.tokens).tolist() == [len(t) for d in documents for t in d.split()]
    characters = texts.characters[texts.end] - texts.characters[texts.start]
    assert characters.tolist() == [len(d) for d in documents]


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_hashes_are_equal_exactly_for_words_that_differ_in_case_only(documents: list[str]) -> None:
    texts = Texts(documents)
    words = [w.translate({90: "z"}) for group in pieces(texts, texts.words) for w in group]
    hashes = texts.hashes(texts.words).tolist()
    assert len(set(hashes)) == len(set(words)) == len(set(zip(words, hashes, strict=True)))


def test_hashes_do_not_depend_on_place_batch_or_process() -> None:
    alone = Texts(["words"])
    among = Texts(["many other", "first Words, then more"])
    assert alone.hashes(alone.words)[0] == among.hashes(among.words)[3]
    assert int(alone.hashes(alone.words)[0]) == GOLDEN


def test_a_batch_larger_than_the_tables_so_far_gives_the_same_hashes() -> None:
    texts = Texts(["x" * (1 << 21), "words"])
    assert int(texts.hashes(texts.words)[1]) == GOLDEN


GOLDEN = 5598054855401954742


def test_n_grams_depend_on_order_and_on_every_word() -> None:
    values = mix(np.arange(1, 7, dtype=np.uint64))
    places = np.arange(4)
    found = n_grams(values, places, 3)
    assert len(set(found.tolist())) == 4
    assert n_grams(values[::-1].copy(), places, 3)[0] != found[3]
    assert n_grams(np.concatenate((values[1:4], values)), places[:1], 3)[0] == found[1]


def test_no_documents_and_empty_documents_have_no_pieces() -> None:
    assert len(Texts([])) == 0
    assert Texts([]).tokens.counts.tolist() == []
    empty = Texts(["", " \n "])
    assert empty.words.counts.tolist() == [0, 0]
    assert empty.paragraphs.counts.tolist() == [0, 0]
