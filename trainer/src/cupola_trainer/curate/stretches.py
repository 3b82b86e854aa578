"""Tokens of texts by what they have in common: a stretch that was met before is not encoded again.

A stretch begins where white space begins, or where ASCII letters end. There a word of
`tokenizer.WORDS` always ends, whatever follows, and the next one depends on nothing before it. So the
tokens of a text are those of its stretches, one after the other, and of what people write most
stretches have been met before.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence

from tokenizers import Tokenizer

_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""The property White_Space of Unicode; Python's own also has the separators 1C to 1F."""
_LETTERS = "A-Za-z"
STRETCH = re.compile(
    rf"[{_SPACE}]*+(?:[^{_SPACE}{_LETTERS}]*+[{_LETTERS}]++(?![^\x00-\x7f])|[^{_SPACE}]++)"
    rf"|[{_SPACE}]++"
)
"""Letters that go on outside ASCII, as in `caf\u00e9`, end with the next white space."""

ROOM = 64 << 20
"""Bytes that remembered stretches take, about."""
_ENTRY = 200
"""Bytes of an entry besides its text and tokens, about."""


class Stretches:
    """The ids that a tokenizer gives, which cuts texts into words as `tokenizer.train` says."""

    def __init__(self, tokenizer: Tokenizer, code: str) -> None:
        """`code`: the array type of ids."""
        self._tokenizer = tokenizer
        self._code = code
        self._known: dict[str, bytes] = {}
        self._held = 0

    def encode(self, texts: Sequence[str]) -> list[array[int]]:
        """The tokens of each text, in a new array."""
        cut = [STRETCH.findall(text) for text in texts]
        wanted = set[str]().union(*cut)
        if self._held > ROOM:
            self._known, self._held = {}, 0
        new = [*wanted.difference(self._known)]
        found = self._tokenizer.encode_batch_fast(new, add_special_tokens=False)
        for stretch, encoding in zip(new, found, strict=True):
            tokens = array(self._code, encoding.ids).tobytes()
            self._known[stretch] = tokens
            self._held += _ENTRY + len(stretch) + len(tokens)
        return [array(self._code, b"".join(map(self._known.__getitem__, one))) for one in cut]
