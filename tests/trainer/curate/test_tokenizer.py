from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, pre_tokenizers

from cupola_api.dataset import TokenizerAlgorithm
from cupola_trainer.curate import tokenizer
from cupola_trainer.pairs import CHAT_TEMPLATE

SOURCES = [path.read_text() for path in sorted(Path(json.__file__).parent.glob("*.py"))]
CODE = "def area(width, height):\n    if width < 0:\n        return None\n\n    return width * height\n"


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return tokenizer.train(iter([[CODE] * 20, ["don't say 12345 twice"] * 5]), 400)


def words(text: str) -> list[str]:
    splitter = pre_tokenizers.Split(Regex(tokenizer.WORDS), "isolated")
    return [piece for piece, _ in splitter.pre_tokenize_str(text)]


def test_words_keep_a_line_end_and_its_indentation_together() -> None:
    assert words("if x:\n        return None\n") == [
        "if",
        " x",
        ":",
        "\n        ",
        "return",
        " None",
        "\n",
    ]
    assert words("a\n\n\n    b") == ["a", "\n\n\n    ", "b"]


def test_words_of_prose_keep_the_space_before_them() -> None:
    assert words("The don't of 12345, yes!") == [
        "The",
        " don",
        "'t",
        " of",
        " ",
        "123",
        "45",
        ",",
        " yes",
        "!",
    ]
    assert words("x = self.value_of(y)") == ["x", " =", " self", ".value", "_of", "(y", ")"]


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_every_text_comes_back(trained: Tokenizer, text: str) -> None:
    assert trained.decode(trained.encode(text).ids) == text


def test_special_tokens_come_first_and_all_bytes_are_known(trained: Tokenizer) -> None:
    assert [trained.id_to_token(i) for i in (0, 1)] == ["<|endoftext|>", "<|pad|>"]
    assert trained.get_vocab_size() <= 400
    assert trained.get_vocab_size() >= 258


@pytest.mark.parametrize("algorithm", TokenizerAlgorithm)
def test_training_is_the_same_in_another_process(algorithm: TokenizerAlgorithm) -> None:
    texts = [SOURCES, [CODE] * 20]
    code = (
        "import sys, json\n"
        "from cupola_api.dataset import TokenizerAlgorithm\n"
        "from cupola_trainer.curate import tokenizer\n"
        "texts = json.loads(sys.stdin.read())\n"
        f"print(tokenizer.train(iter(texts), 1500, TokenizerAlgorithm.{algorithm.name}).to_str())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(texts),
        env={"RAYON_NUM_THREADS": "1", "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == tokenizer.train(iter(texts), 1500, algorithm).to_str()


def test_text_that_looks_like_a_special_token_is_text(trained: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(trained, tmp_path / "t")
    loaded = tokenizer.load(tmp_path / "t")
    ids = loaded.encode("a<|endoftext|>b<|pad|>").ids
    assert 0 not in ids
    assert 1 not in ids
    assert loaded.decode(ids) == "a<|endoftext|>b<|pad|>"
    assert tokenizer.end_id(loaded) == 0


def test_the_digest_is_of_what_decides_the_ids(trained: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(trained, tmp_path / "one")
    tokenizer.save(trained, tmp_path / "two")
    assert tokenizer.digest(tmp_path / "one") == tokenizer.digest(tmp_path / "two")
    tokenizer.save(tokenizer.train(iter([["other text"]]), 300), tmp_path / "three")
    assert tokenizer.digest(tmp_path / "three") != tokenizer.digest(tmp_path / "one")


def test_transformers_loads_the_folder(trained: Tokenizer, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer.save(trained, tmp_path / "t")
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "t")
    assert (loaded.eos_token_id, loaded.pad_token_id) == (0, 1)
    assert loaded.chat_template == CHAT_TEMPLATE
    assert len(loaded) == trained.get_vocab_size()
    assert loaded.encode(CODE, add_special_tokens=False) == trained.encode(CODE).ids
    talk = [{"role": "user", "content": "Add."}, {"role": "assistant", "content": "1 + 1"}]
    assert loaded.apply_chat_template(talk, tokenize=False) == "Add.\n\n1 + 1<|endoftext|>"


@pytest.fixture(scope="module")
def pieces() -> Tokenizer:
    texts = [[CODE] * 20, ["don't say 12345 twice"] * 5]
    return tokenizer.train(iter(texts), 400, TokenizerAlgorithm.WORD_PIECE)


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_word_pieces_know_every_text(pieces: Tokenizer, text: str) -> None:
    ids = pieces.encode(text).ids
    assert pieces.decode(ids) == text
    assert 1 not in ids  # the pad token stands for what is unknown


def test_word_pieces_are_the_longest_that_fit(pieces: Tokenizer) -> None:
    known = pieces.get_vocab()
    assert [pieces.id_to_token(i) for i in (0, 1)] == ["<|endoftext|>", "<|pad|>"]
    word = "returnx" * 40
    (first, *_) = pieces.encode(word).tokens
    assert first == max((word[:n] for n in range(1, 20) if word[:n] in known), key=len)
    assert pieces.decode(pieces.encode(word).ids) == word


@pytest.fixture(scope="module")
def likely() -> Tokenizer:
    texts = [SOURCES, ["don't say 12345 twice"] * 5]
    return tokenizer.train(iter(texts), 600, TokenizerAlgorithm.UNIGRAM)


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_a_unigram_model_knows_every_text(likely: Tokenizer, text: str) -> None:
    ids = likely.encode(text).ids
    assert likely.decode(ids) == text
    assert not {0, 1} & {*ids}


def test_a_unigram_model_has_what_is_frequent_and_all_bytes(likely: Tokenizer) -> None:
    assert [likely.id_to_token(i) for i in (0, 1)] == ["<|endoftext|>", "<|pad|>"]
    assert set(pre_tokenizers.ByteLevel.alphabet()) <= likely.get_vocab().keys()
    assert 500 < likely.get_vocab_size() <= 600
    assert likely.encode("return self").tokens[0] == "return"


def test_a_unigram_model_takes_the_likeliest_entries_together(likely: Tokenizer) -> None:
    score = dict(json.loads(likely.to_str())["model"]["vocab"])

    def best(word: str) -> float:
        found = [0.0]
        for end in range(1, len(word) + 1):
            ways = (found[at] + score[word[at:end]] for at in range(end) if word[at:end] in score)
            found.append(max(ways))
        return found[-1]

    for word in ("decoders", "parse", "indentation", "zzq"):
        assert sum(score[token] for token in likely.encode(word).tokens) == pytest.approx(
            best(word)
        )


@pytest.mark.parametrize("texts", [[], [[""]], [["a"]], [["\ufffd\u0000\t\n 1"]]])
def test_a_unigram_model_of_next_to_nothing_knows_every_text(texts: list[list[str]]) -> None:
    made = tokenizer.train(iter(texts), 512, TokenizerAlgorithm.UNIGRAM)
    assert made.decode(made.encode(CODE).ids) == CODE
    assert made.get_vocab_size() >= 258


def test_transformers_loads_a_unigram_model(likely: Tokenizer, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer.save(likely, tmp_path / "t")
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "t")
    assert (loaded.eos_token_id, loaded.pad_token_id) == (0, 1)
    assert loaded.encode(CODE, add_special_tokens=False) == likely.encode(CODE).ids
