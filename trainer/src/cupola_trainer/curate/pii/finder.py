"""What finds one form of private data: a pattern in RE2 and a second look at each match."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cupola_api.dataset import PiiKind
from cupola_trainer.curate.patterns import Pattern, pattern

Span = tuple[int, int]
_INSIDE_A_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")


class Finder(NamedTuple):
    """One form of one kind of private data."""

    kind: PiiKind
    pattern: Pattern
    """Group 1 is the finding where there is one, else the match."""
    check: Callable[[bytes, int, int], Span | None]
    """The text and where the match begins and ends -> what of it is private, or None."""
    hint: bytes = b""
    """Text without these bytes holds no match."""
    screen: Pattern | None = None
    """Text without a match of this holds none of `pattern`; several finders share one, so that most
    text is read once for all of them."""

    def find(self, text: bytes) -> list[Span]:
        """Where the private data lies, in order."""
        if self.hint not in text:
            return []
        group = 1 if self.pattern.groups else 0
        spans = (self.check(text, *match.span(group)) for match in self.pattern.finditer(text))
        return [span for span in spans if span]


NUMBERS = pattern(rb"\d(?:[ ()./\-]{0,4}\d){6}")
"""Seven digits, however they are grouped."""
MARKS = pattern(
    rb"(?:AKIA|ASIA)[A-Z2-7]{4}|gh[pousr]_\w{4}|github_pat_|gl(?:pat|rt|dt|ptt|soat|cbt|sa)[\-_]|xox[abeprs]-\w|xapp-"
    rb"|hooks\.slack|GOCSPX-|AIza|ya29\."
    rb"|[rs]k_live_|sk-(?:ant|proj|svca|\w{8})|hf_\w{8}|npm_\w{8}|pypi-AgE|SG\.[\w\-]{4}|do[opr]_v1_|eyJ\w{4}"
    rb"|whsec_|dckr_pat_|hv[sb]\.[\w\-]{8}|shp(?:at|ca|pa|ss)_|dapi[a-f0-9]{8}|ATATT3|lin_api_|NRAK-|PMAK-"
    rb"|ntn_\w{8}|figd_|dp\.(?:pt|st|ct|sa)\.|pscale_|gsk_\w{8}|r8_\w{8}|xai-\w{8}|sbp_[a-f0-9]{8}"
    rb"|key-[a-f0-9]{8}|AGE-SECRET|AccountKey="
    rb"|(?i:aws_?secret_?)"
    rb"|\b[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4}"
    rb"|[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]"
    rb"|\b[23][0-9A-Fa-f]{3}:[0-9A-Fa-f]{0,4}:"
)
"""How keys of vendors begin, and what every IBAN and address of the Internet holds."""


def stands_alone(text: bytes, start: int, end: int, *, not_before: bytes = b".-") -> bool:
    """Whether a number is not a piece of something longer, such as a word, a version, a decimal."""
    if start and (text[start - 1] in _INSIDE_A_WORD or text[start - 1] in not_before):
        return False
    after = text[end : end + 2]
    if after and after[0] in _INSIDE_A_WORD:
        return False
    return not (len(after) == 2 and after[0] in b".-" and 48 <= after[1] <= 57)


def digits(text: bytes) -> bytes:
    """The decimal digits of a text."""
    return bytes(byte for byte in text if 48 <= byte <= 57)
