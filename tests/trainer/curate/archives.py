"""Web archives as crawlers write them, and broken ones."""

from __future__ import annotations

import gzip
from pathlib import Path

HTML = b"""<html><head><title>T</title><script>var x = "script";</script></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/a">About</a></li></ul></nav>
<main><h1>%s</h1><p>A paragraph that is the main content of the page, long enough to be taken for
text by whoever looks for it, and not for a menu.</p></main><footer>Imprint</footer></body></html>"""


def record(kind: str, content: bytes, *, length: int | None = None, **headers: str) -> bytes:
    """One record; `length` is another Content-Length than the true one."""
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        "WARC-Date: 2026-01-02T03:04:05Z",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        f"Content-Length: {len(content) if length is None else length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content + b"\r\n\r\n"


def answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """What a server says."""
    named = {"Content-Type": "text/html; charset=utf-8"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def page(number: int) -> bytes:
    """The record of a page that holds its number."""
    return record(
        "response",
        answer(HTML % f"Page {number}".encode()),
        WARC_Target_URI=f"https://example.org/{number}",
    )


def write(path: Path, records: list[bytes]) -> Path:
    """An archive, packed record by record if its name says so."""
    packed = path.name.endswith(".gz")
    path.write_bytes(b"".join(gzip.compress(one, mtime=0) if packed else one for one in records))
    return path
