"""The text of a web page from what its server answered: the main content, without menus and scripts.

By resiliparse: 45 MB of HTML a second and core, where trafilatura does 3.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from cupola_trainer.curate.packed import RATIO, Damaged
from cupola_trainer.curate.records import MAX_BYTES

HTML_BYTES = 2 * MAX_BYTES
"""Largest page that is looked at."""
DEPTH = 1000
"""Deepest nesting of blocks: the time of finding the main content grows with its square."""

_END = b"\r\n\r\n"
_HEADER = re.compile(rb"^([^:\s][^:\r\n]*):[ \t]*([^\r\n]*)", re.MULTILINE)
_STATUS = re.compile(rb"HTTP/[0-9.]+ +([0-9]{3})")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([-\w.:]+)", re.IGNORECASE)
_HTML = ("text/html", "application/xhtml+xml")
_BLOCK = re.compile(r"<(/?)(?:div|article)\b")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16-be"), (b"\xff\xfe", "utf-16-le"))


class Answer(NamedTuple):
    """What a server answered, as it was sent."""

    status: int
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes


def answer_of(content: bytes) -> Answer:
    """The parts of an answer of HTTP. Raises Damaged."""
    head, found, body = content.partition(_END)
    status = _STATUS.match(head)
    if not found or not status:
        raise Damaged("broken-record", "it holds no answer of HTTP")
    headers = {
        name.decode("latin-1").strip().lower(): value.decode("latin-1").strip()
        for name, value in _HEADER.findall(head)
    }
    return Answer(int(status[1]), headers, body)


def body_of(answer: Answer) -> bytes:
    """The page itself, as its author wrote it. Raises Damaged.

    Many crawlers undo chunks and compression, but keep the headers that named them.
    """
    body = answer.body
    if "chunked" in answer.headers.get("transfer-encoding", "").lower():
        body = _joined(body)
    for coding in reversed(answer.headers.get("content-encoding", "").lower().split(",")):
        body = _decoded(body, coding.strip())
    return body


def text_of(body: bytes, content_type: str) -> str | None:
    """The text of a page; None if it is of another type. Raises Damaged."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind and kind not in (*_HTML, "text/plain"):
        return None
    if len(body) > HTML_BYTES:
        raise Damaged("too-large", f"the page has more than {HTML_BYTES:,} bytes")
    page = decoded_text(body, content_type)
    if kind == "text/plain":
        return page
    if _depth(page) > DEPTH:
        raise Damaged("too-deep", f"its blocks are nested more than {DEPTH:,} deep")
    from resiliparse.extract.html2text import extract_plain_text  # noqa: PLC0415  only archives
    from resiliparse.parse.html import HTMLTree  # noqa: PLC0415

    tree = HTMLTree.parse(page)
    return extract_plain_text(tree, main_content=True, alt_texts=False, comments=False)


def decoded_text(body: bytes, content_type: str) -> str:
    """The characters of a page: by its byte order mark, its header, its own word, or its bytes."""
    from resiliparse.parse.encoding import (  # noqa: PLC0415
        bytes_to_str,
        detect_encoding,
        map_encoding_to_html5,
    )

    for mark, encoding in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, errors="replace")
    try:
        return body.decode()  # whatever it says: other text is UTF-8 by accident next to never
    except UnicodeDecodeError:
        pass
    said = _CHARSET.search(content_type)
    named = map_encoding_to_html5(said[1], fallback_utf8=False) if said else None
    found = named or detect_encoding(body, from_html_meta=True) or "cp1252"
    return bytes_to_str(body, found, errors="replace")


def _depth(page: str) -> int:
    """How deep the blocks of a page are nested that make finding its main content slow."""
    lower = page.lower()
    if lower.count("<div") + lower.count("<article") < DEPTH:
        return 0
    depth = deepest = 0
    for closing in _BLOCK.findall(lower):
        depth = max(0, depth - 1) if closing else depth + 1
        deepest = max(deepest, depth)
    return deepest


def _joined(body: bytes) -> bytes:
    """A body without the sizes of its chunks; as it is, if it does not begin with one."""
    found: list[bytes] = []
    at = 0
    while True:
        line, there, _ = body[at : at + 100].partition(b"\r\n")
        size = re.match(rb"[0-9a-fA-F]{1,8}\s*(;|$)", line)
        if not there or not size:
            if not found:
                return body
            raise Damaged("broken-record", "its body is not in whole chunks")
        length = int(line.partition(b";")[0], 16)
        at += len(line) + 2
        if not length:
            return b"".join(found)
        if at + length > len(body):
            raise Damaged("broken-record", "its body is not in whole chunks")
        found.append(body[at : at + length])
        at += length + 2


def _decoded(body: bytes, coding: str) -> bytes:
    """A body unpacked, or as it is if it is not packed so. Raises Damaged."""
    pieces: Iterator[bytes]
    if coding in ("gzip", "x-gzip") and body.startswith(b"\x1f\x8b"):
        pieces = _inflated(body, 31)
    elif coding == "deflate" and body[:1] == b"\x78":
        pieces = _inflated(body, 15)
    elif coding == "br" and body[:256].lstrip()[:1] != b"<":
        pieces = _unbrotlied(body)
    else:
        return body
    found: list[bytes] = []
    size = 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size > HTML_BYTES:
            rule = "bomb" if size > RATIO * len(body) else "too-large"
            raise Damaged(rule, f"its body grows to more than {HTML_BYTES:,} bytes")
    return b"".join(found)


def _inflated(body: bytes, wbits: int) -> Iterator[bytes]:
    inflate = zlib.decompressobj(wbits)
    try:
        while body and not inflate.eof:
            yield inflate.decompress(body, 1 << 20)
            body = inflate.unconsumed_tail
    except zlib.error as error:
        raise Damaged("corrupt", f"its body cannot be unpacked: {error}") from error
    if not inflate.eof:
        raise Damaged("cut-short", "its compressed body ends too early")


def _unbrotlied(body: bytes) -> Iterator[bytes]:
    import brotli  # noqa: PLC0415  few archives keep bodies as they were sent

    unpack = brotli.Decompressor()
    try:
        yield unpack.process(body, output_buffer_limit=1 << 20)
        while not unpack.can_accept_more_data():
            yield unpack.process(b"", output_buffer_limit=1 << 20)
    except brotli.error as error:
        raise Damaged("corrupt", f"its body cannot be unpacked: {error}") from error
    if not unpack.is_finished():
        raise Damaged("cut-short", "its compressed body ends too early")
