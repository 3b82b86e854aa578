"""Addresses on the Internet. Private, loopback and documentation addresses lead to nobody."""

from __future__ import annotations

import ipaddress

from cupola_api.dataset import PiiKind
from cupola_trainer.curate.patterns import pattern
from cupola_trainer.curate.pii.finder import MARKS, Finder, Span, stands_alone

_VERSION = pattern(
    rb"(?i)(?:\b(?:versions?|ver|release|rev|build|section|chapter|oid|python)\b|[=<>~!]=|"
    + "§".encode()
    + rb")[\s\"':=(v.#]{0,4}$"
)
_ADDRESS = pattern(
    rb"(?i)(?:\b|_)(?:ips?|ipv4|address(?:es)?|addr|hosts?|servers?|clients?|dns|ping|ssh|from|remote|"
    rb"gateway|nameserver|proxy|forwarded-for|blocked|banned|visitors?)\b|//$|@$"
)
_GOES_ON = pattern(rb"^(?:-[a-z]|[ ,]-?\d*\.\d)")
"""`12.4.254.14-node` is a version, `3.51.98.32 2.03.5` the path of a drawing."""
_LOG = b" - - ["
"""What follows the address in a web server's log (NCSA common log format)."""


def _reaches_a_host(address: bytes) -> bool:
    try:
        parsed = ipaddress.ip_address(address.decode())
    except ValueError:
        return False
    return parsed.is_global and not parsed.is_multicast


def _check_v4(text: bytes, start: int, end: int) -> Span | None:
    """Four numbers are a version as often as an address; what stands around them decides."""
    if not stands_alone(text, start, end) or not _reaches_a_host(text[start:end]):
        return None
    before, after = text[max(0, start - 40) : start], text[end : end + 1]
    product = before.endswith(b"/") and before[-2:-1].isalnum()  # Browser/120.0.6099.71
    network = after == b"/" and text[start:end].endswith(b".0")  # 52.216.0.0/15
    if product or network or _VERSION.search(before) or _GOES_ON.search(text[end : end + 8]):
        return None
    # Versions, sections and object identifiers begin with one digit and go on with small numbers.
    numbers = [int(number) for number in text[start:end].split(b".")]
    large = sum(number >= _LARGE for number in numbers[1:])
    likely = large > 1 or (numbers[0] > 9 and max(numbers[1:]) > 9)
    logged = text[end : end + len(_LOG)] == _LOG
    return (start, end) if likely or logged or _ADDRESS.search(before) else None


def _check_v6(text: bytes, start: int, end: int) -> Span | None:
    """One colon at the end is the sentence's."""
    if text[end - 1 : end] == b":" and text[end - 2 : end] != b"::":
        end -= 1
    goes_on = text[end : end + 1] == b":" and text[end + 1 : end + 2] in _HEX
    named = text[max(0, start - 5) : start].lower() == b"ipv6:"  # RFC 5321
    alone = stands_alone(text, start, end, not_before=b"" if named else b".:") and not goes_on
    return (start, end) if alone and _reaches_a_host(text[start:end]) else None


_LARGE = 32
"""Numbers of versions are seldom as large, two of three of an address's are nearly always."""
_HEX = frozenset(bytes([c]) for c in b"0123456789abcdefABCDEF:")

FINDERS = (
    Finder(
        PiiKind.IP_ADDRESS, pattern(rb"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"), _check_v4, screen=MARKS
    ),
    Finder(
        PiiKind.IP_ADDRESS,
        # Global unicast is 2000::/3; this also keeps out times and C++ scopes.
        pattern(rb"\b[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}"),
        _check_v6,
        screen=MARKS,
    ),
)
