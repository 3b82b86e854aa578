"""Addresses on the Internet. Private, loopback and documentation addresses lead to nobody."""

from __future__ import annotations

import ipaddress

from cupola_api.dataset import PiiKind
from cupola_trainer.curate.patterns import pattern
from cupola_trainer.curate.pii.finder import Finder, Span, stands_alone

_VERSION = pattern(
    rb"(?i)(?:\b(?:versions?|ver|release|rev|build|section|chapter|oid|python)\b|[=<>~!]=|\xc2\xa7)"
    rb"[\s\"':=(v.#]{0,4}$"
)
_ADDRESS = pattern(
    rb"(?i)\b(?:ips?|ipv4|address(?:es)?|addr|hosts?|servers?|clients?|dns|ping|ssh|from|remote|"
    rb"gateway|nameserver|proxy)\b|//$|@$"
)


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
    if product or network or _VERSION.search(before):
        return None
    # Versions, sections and object identifiers begin with one digit; so do few addresses.
    small = text[start + 1 : start + 2] == b"."
    return None if small and not _ADDRESS.search(before) else (start, end)


def _check_v6(text: bytes, start: int, end: int) -> Span | None:
    alone = stands_alone(text, start, end, not_before=b".:") and text[end : end + 1] != b":"
    return (start, end) if alone and _reaches_a_host(text[start:end]) else None


FINDERS = (
    Finder(PiiKind.IP_ADDRESS, pattern(rb"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"), _check_v4),
    Finder(
        PiiKind.IP_ADDRESS,
        # Global unicast is 2000::/3; this also keeps out times and C++ scopes.
        pattern(rb"\b[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}"),
        _check_v6,
        hint=b":",
    ),
)
