"""The tokenizer of a Dataset: trained on its text, or taken from another Dataset or a file.

Byte-pair encoding on words of bytes (Sennrich et al. 2016, arXiv 1508.07909; Radford et al. 2019),
or WordPiece (Schuster and Nakajima 2012) or a unigram model (Kudo 2018, arXiv 1804.10959) on them.
Words are cut as GPT-4 cuts them, with two changes for code: a line end keeps the indentation after
it, so that a block's depth is one token, and no English contractions, which cut quoted names.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from cupola_api.artifact import hash_file
from cupola_api.dataset import TokenizerAlgorithm
from cupola_api.outcome import FailureClass
from cupola_api.run import Input
from cupola_trainer import storage
from cupola_trainer.curate import unigram
from cupola_trainer.pairs import CHAT_TEMPLATE
from cupola_trainer.pod import PodFailure
from cupola_trainer.shards import END_TOKEN, PAD_TOKEN, SPECIAL_TOKENS

FILE = "tokenizer.json"
_CONFIG = "tokenizer_config.json"
_SPECIAL = "special_tokens_map.json"

_KINDS_OF_WORDS = (
    r"[^\r\n\p{L}\p{M}\p{N}]?[\p{L}\p{M}]+",  # a word with the space or mark before it
    r"\p{N}{1,3}",  # digits in threes at most
    r" ?[^\s\p{L}\p{M}\p{N}]+",  # punctuation
    r"\s*[\r\n]+[ \t]*",  # line ends and the indentation after them
    r"\s+(?!\S)",  # spaces, but for the one that belongs to what follows
    r"\s+",
)
LONGEST_WORD = 64
"""Characters of a word, at most, for WordPiece, whose time grows with the square, and Unigram."""
WORDS = "|".join(_KINDS_OF_WORDS)
"""What a text is cut into before pairs of bytes are merged; no token crosses a cut."""
SHORT = rf"[\s\S]{{1,{LONGEST_WORD}}}"
"""What words are cut into where they may be no longer."""


def train(
    texts: Iterator[list[str]],
    vocab_size: int,
    algorithm: TokenizerAlgorithm = TokenizerAlgorithm.BPE,
) -> Tokenizer:
    """Train on texts; the same texts in the same order give the same tokenizer.

    Little text can give fewer entries than `vocab_size`, never more.
    """
    short = pre_tokenizers.Split(Regex(SHORT), "isolated")
    cuts = [] if algorithm is TokenizerAlgorithm.BPE else [short]
    words = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            *cuts,
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer = Tokenizer(_empty(algorithm))
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.ByteLevel()
    if algorithm is TokenizerAlgorithm.UNIGRAM:
        tokenizer.model = unigram.train(texts, vocab_size, words, SPECIAL_TOKENS)
        tokenizer.add_special_tokens([*SPECIAL_TOKENS])
    elif algorithm is TokenizerAlgorithm.WORD_PIECE:
        options = _options(vocab_size)
        trainer = trainers.WordPieceTrainer(**options, continuing_subword_prefix="")
        tokenizer.train_from_iterator(texts, trainer)
    else:
        tokenizer.train_from_iterator(texts, trainers.BpeTrainer(**_options(vocab_size)))
    return tokenizer


def _empty(algorithm: TokenizerAlgorithm) -> models.Model:
    if algorithm is TokenizerAlgorithm.UNIGRAM:
        return models.Unigram()
    if algorithm is TokenizerAlgorithm.BPE:
        return models.BPE()
    # All bytes are known, so nothing is unknown; but the library wants to know what would be.
    return models.WordPiece(unk_token=PAD_TOKEN, max_input_chars_per_word=4 * LONGEST_WORD + 1)


def _options(vocab_size: int) -> dict[str, Any]:
    return {
        "vocab_size": vocab_size,
        "special_tokens": list(SPECIAL_TOKENS),
        "initial_alphabet": pre_tokenizers.ByteLevel.alphabet(),
        "show_progress": False,
    }


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the folder that `transformers.AutoTokenizer.from_pretrained` reads."""
    folder.mkdir()
    tokenizer.save(str(folder / FILE))
    special = {"eos_token": END_TOKEN, "pad_token": PAD_TOKEN}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
        **special,
    }
    for name, value in ((_CONFIG, config), (_SPECIAL, special)):
        (folder / name).write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def copy(source: Input, folder: Path) -> None:
    """Take the tokenizer of another Dataset, file by file. Raises PodFailure if it has none."""
    theirs = storage.open_input(source, "tokenizer/") / "tokenizer"
    if not (theirs / FILE).is_file():
        raise PodFailure(
            "TokenizerMissing",
            f"{source.kind} {source.name} holds no tokenizer; name a finished Dataset in "
            "spec.tokenizer.dataset",
            FailureClass.USER,
        )
    folder.mkdir()
    for name in (FILE, _CONFIG, _SPECIAL):
        shutil.copyfile(theirs / name, folder / name)


def size(tokenizer: Tokenizer) -> int:
    """How many ids there are, from 0 to the largest."""
    return max(tokenizer.get_vocab().values()) + 1


def load(folder: Path) -> Tokenizer:
    """A tokenizer that takes all text as text: a document cannot spell the end token."""
    tokenizer = Tokenizer.from_file(str(folder / FILE))
    tokenizer.encode_special_tokens = True
    return tokenizer


def end_id(tokenizer: Tokenizer) -> int:
    """The id of the end token. Raises PodFailure if the tokenizer has none."""
    found = tokenizer.token_to_id(END_TOKEN)
    if found is None:
        raise PodFailure(
            "TokenizerInvalid",
            f"the tokenizer has no token {END_TOKEN}; take that of a Dataset made by Cupola",
            FailureClass.USER,
        )
    return found


def digest(folder: Path) -> str:
    """Identity of a tokenizer: equal for two that give the same ids."""
    return f"sha256:{hash_file(folder / FILE)}"
