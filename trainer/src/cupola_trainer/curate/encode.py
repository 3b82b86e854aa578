"""From texts to token ids, by the fastest way that gives the ids of the tokenizer.

tiktoken encodes byte-level BPE six times as fast as `tokenizers`. It joins two neighbours
whenever their bytes together are a token, first those of the lowest id; `tokenizers` follows a list
of joins. Both come to the same ids if

- ids rise along the list, and
- every token of the list, encoded alone, is itself. Then within the bytes of a token that appears in
  a text no join ever crossed its edges, so all joins in it were those of the token alone.

Both cut a text into words first, each by a library of its own; `WORDS` is the pattern for which they
are known to agree on all of Unicode.

Other tokenizers that Cupola trains are slow; they encode each stretch of text once. A tokenizer that
is not like these is used as it is.
"""

from __future__ import annotations

import json
import os
import re
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tiktoken
from tokenizers import Tokenizer, pre_tokenizers

from cupola_trainer.curate.stretches import Stretches
from cupola_trainer.curate.tokenizer import SHORT, WORDS, end_id, size
from cupola_trainer.shards import dtype_for

LONGEST_SPACE = 1 << 16
"""White space in a row, in characters: tiktoken overflows its stack at some ten times as much."""
_LONG_SPACE = re.compile(rf"\s{{{LONGEST_SPACE}}}")
_PIECES = 8
"""Pieces of a batch for each thread."""


class Encoder:
    """Token ids of texts, each closed by the end token."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Raises PodFailure if the tokenizer has no end token."""
        self._tokenizer = tokenizer
        described = json.loads(tokenizer.to_str())
        self._fast = _fast(tokenizer, described)
        self._code = "H" if dtype_for(size(tokenizer)).itemsize == 2 else "I"
        self._end = array(self._code, [end_id(tokenizer)])
        once = _cuts_as_ours(described, short=True) and described["model"]["type"] in _SLOW
        self._stretches = Stretches(tokenizer, self._code) if once else None
        self._threads = len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._threads, "encode")

    def encode(self, texts: Sequence[str]) -> list[array[int]]:
        """The tokens of each text, on all processors."""
        if self._stretches:
            return [tokens + self._end for tokens in self._stretches.encode(texts)]
        if self._fast is None:
            found = self._tokenizer.encode_batch_fast([*texts], add_special_tokens=False)
            return [array(self._code, encoding.ids) + self._end for encoding in found]
        if self._threads == 1:
            return self._several(texts)
        # To hand a text to a thread costs as much as to encode a short one.
        step = -(-len(texts) // (_PIECES * self._threads)) or 1
        pieces = [texts[i : i + step] for i in range(0, len(texts), step)]
        return [tokens for several in self._pool.map(self._several, pieces) for tokens in several]

    def _several(self, texts: Sequence[str]) -> list[array[int]]:
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> array[int]:
        if self._fast is None or (len(text) >= LONGEST_SPACE and _LONG_SPACE.search(text)):
            ids = self._tokenizer.encode(text, add_special_tokens=False).ids
            return array(self._code, ids) + self._end
        found = array(self._code)
        # As an array: a list of numbers takes a third of the time.
        numbers = self._fast.encode_to_numpy(text, disallowed_special=())
        found.frombytes(numbers.astype(self._code).tobytes())
        return found + self._end


def _fast(tokenizer: Tokenizer, found: dict[str, Any]) -> tiktoken.Encoding | None:
    """The same tokenizer for tiktoken; None if it could give other ids."""
    model = found["model"]
    plain = model["type"] == "BPE" and not any(model.get(name) for name in _OPTIONS)
    if not plain or not _cuts_as_ours(found, short=False):
        return None
    byte_of = _bytes_of_letters()
    joined = [first + second for first, second in model["merges"]]
    known = model["vocab"]
    ids = {token: known[token] for token in [*byte_of, *joined] if token in known}
    rising = [ids[token] for token in joined if token in ids]
    if len(ids) != 256 + len(joined) or rising != sorted(rising):
        return None
    if any(len(tokenizer.model.tokenize(token)) > 1 for token in joined):
        return None
    ranks = {bytes(byte_of[letter] for letter in token): number for token, number in ids.items()}
    # No text is taken for the special token; without any, tiktoken stops at every letter to look.
    special = {"<|endoftext|>": len(ranks)}
    return tiktoken.Encoding("cupola", pat_str=WORDS, mergeable_ranks=ranks, special_tokens=special)


def _cuts_as_ours(found: dict[str, Any], *, short: bool) -> bool:
    """Whether a tokenizer.json cuts texts into words of bytes as one that Cupola trains."""
    cut = found["pre_tokenizer"]
    if cut is None or cut["type"] != "Sequence" or found["normalizer"] is not None:
        return False
    *splits, last = cut["pretokenizers"]
    return (
        splits == [_split(WORDS), *([_split(SHORT)] if short else [])]
        and last | {"trim_offsets": True} == _BYTES
        and all(token["special"] for token in found["added_tokens"])
    )


def _split(words: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated", "invert": False}


_SLOW = ("Unigram", "WordPiece")
_OPTIONS = (
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "byte_fallback",
    "ignore_merges",
)
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def _bytes_of_letters() -> dict[str, int]:
    """The byte that each letter of a byte-level vocabulary stands for (Radford et al. 2019)."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printed]
    letters = {chr(byte): byte for byte in printed}
    letters |= {chr(256 + number): byte for number, byte in enumerate(others)}
    if set(letters) != set(pre_tokenizers.ByteLevel.alphabet()):
        raise ValueError("tokenizers has other letters for bytes")
    return letters
