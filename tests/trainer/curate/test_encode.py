from __future__ import annotations

import random
from array import array
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from cupola_api.dataset import TokenizerAlgorithm
from cupola_trainer.curate import stretches, tokenizer
from cupola_trainer.curate.encode import LONGEST_SPACE, Encoder

SOURCES = sorted(Path(tokenizers.__file__).parent.rglob("*.py*"))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


@pytest.fixture(scope="module", params=TokenizerAlgorithm)
def trained(request: pytest.FixtureRequest) -> Tokenizer:
    texts = [_text(path) for path in SOURCES[:6]]
    made = tokenizer.train(iter([texts]), 2000, request.param)
    made.encode_special_tokens = True
    return made


@pytest.fixture(scope="module")
def encoder(trained: Tokenizer) -> Encoder:
    made = Encoder(trained)
    assert made._fast or made._stretches
    return made


def reference(trained: Tokenizer, text: str) -> list[int]:
    return [*trained.encode(text, add_special_tokens=False).ids, 0]


def same(encoder: Encoder, trained: Tokenizer, *texts: str) -> None:
    found = encoder.encode(texts)
    assert all(isinstance(ids, array) for ids in found)
    assert [ids.tolist() for ids in found] == [reference(trained, text) for text in texts]


def test_ids_are_those_of_the_tokenizer_on_real_files(encoder: Encoder, trained: Tokenizer) -> None:
    same(encoder, trained, *map(_text, SOURCES))


def test_ids_are_those_of_the_tokenizer_on_all_scripts(
    encoder: Encoder, trained: Tokenizer
) -> None:
    chance = random.Random(0)
    ranges = [(0, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)]
    for _ in range(20):
        text = "".join(
            chr(chance.randrange(*chance.choice(ranges))) + chance.choice(["", "a", " ", "1", "\n"])
            for _ in range(1000)
        )
        same(encoder, trained, text)


@settings(max_examples=150, deadline=None)
@given(st.text())
def test_ids_are_those_of_the_tokenizer_on_any_text(
    encoder: Encoder, trained: Tokenizer, text: str
) -> None:
    same(encoder, trained, text)


@settings(max_examples=150, deadline=None)
@given(st.text("defrtuns (\n\t:=1", max_size=40))
def test_ids_are_those_of_the_tokenizer_where_many_tokens_meet(
    encoder: Encoder, trained: Tokenizer, text: str
) -> None:
    same(encoder, trained, text)


def test_endless_space_is_encoded(encoder: Encoder, trained: Tokenizer) -> None:
    same(encoder, trained, "a" + "\n" * (LONGEST_SPACE - 1) + "b")


def test_text_that_is_too_much_space_for_the_fast_way_is_encoded() -> None:
    small = tokenizer.train(iter([["abc"]]), 300)
    text = "a" + " " * (1 << 20) + "b"
    (ids,) = Encoder(small).encode([text])
    assert small.decode(ids[:-1].tolist()) == text


def test_stretches_are_forgotten_when_they_have_no_room(
    trained: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "ROOM", 20_000)
    made = stretches.Stretches(trained, "H")
    held = []
    for text in map(_text, SOURCES[:6]):
        for line in text.splitlines():
            assert made.encode([line])[0].tolist() == reference(trained, line)[:-1]
            held.append(made._held)
    assert 10_000 < max(held) < 40_000


def test_a_tokenizer_that_cuts_in_another_way_is_used_as_it_is(trained: Tokenizer) -> None:
    other = Tokenizer.from_str(trained.to_str())
    other.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    other.encode_special_tokens = True
    made = Encoder(other)
    assert not made._fast
    assert not made._stretches
    same(made, other, *map(_text, SOURCES[:3]))


def test_what_looks_like_a_special_token_is_text(encoder: Encoder, trained: Tokenizer) -> None:
    same(encoder, trained, "a<|endoftext|>b<|pad|>")
    assert encoder.encode(["<|endoftext|>"])[0].count(0) == 1


def _with_model(trained: Tokenizer, model: models.Model) -> Tokenizer:
    other = Tokenizer.from_str(trained.to_str())
    other.model = model
    other.encode_special_tokens = True
    return other


def test_a_tokenizer_whose_ids_do_not_rise_with_its_joins_is_used_as_it_is() -> None:
    made = tokenizer.train(iter([["abc abc bcd"] * 5]), 300)
    letters = made.get_vocab()
    base = {token: number for token, number in letters.items() if number < 258}
    joins = [("b", "c"), ("a", "b")]
    for vocabulary, fast in (({"bc": 258, "ab": 259}, True), ({"bc": 259, "ab": 258}, False)):
        other = _with_model(made, models.BPE(base | vocabulary, joins))
        encoder = Encoder(other)
        assert (encoder._fast is not None) is fast
        same(encoder, other, "abc ab bc cab")


def test_a_tokenizer_with_a_token_that_its_joins_do_not_reach_is_used_as_it_is() -> None:
    made = tokenizer.train(iter([["abc"] * 5]), 300)
    base = {token: number for token, number in made.get_vocab().items() if number < 258}
    joins = [("b", "c"), ("a", "b"), ("ab", "c")]  # abc is cut into a and bc
    other = _with_model(made, models.BPE(base | {"bc": 258, "ab": 259, "abc": 260}, joins))
    encoder = Encoder(other)
    assert encoder._fast is None
    same(encoder, other, "abc", "ab abc")
