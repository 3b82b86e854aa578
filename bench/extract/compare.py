"""Web archives to text: Cupola beside datatrove, and what each reads of a damaged archive.

    python compare.py FOLDER

takes the HTML of a folder, such as the documentation of a distribution, writes it as a crawler does,
a gzip member a record, and prints MB of HTML a second of CPU.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "curation"))

from compare import environment  # noqa: E402  of bench/curation

_LARGEST = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of HTML")
    parser.add_argument("--peer", help="a Python with datatrove, instead of the one made for it")
    parser.add_argument("--pages", type=int, default=1000)
    asked = parser.parse_args()
    pages = [p for p in sorted(asked.folder.rglob("*.html")) if p.stat().st_size <= _LARGEST]
    if not pages:
        sys.exit(f"{asked.folder} holds no *.html")
    chosen = [pages[i * len(pages) // asked.pages] for i in range(min(asked.pages, len(pages)))]
    peer = asked.peer or str(environment())
    with tempfile.TemporaryDirectory() as scratch:
        whole, broken = Path(scratch, "whole"), Path(scratch, "broken")
        members = [gzip.compress(record(i, p.read_bytes())) for i, p in enumerate(chosen)]
        size = sum(p.stat().st_size for p in chosen)
        write(whole, b"".join(members))
        middle = len(members) // 2
        damaged = bytearray(members[middle])
        damaged[len(damaged) // 2] ^= 0xFF
        write(broken, b"".join([*members[:middle], damaged, *members[middle + 1 :]]))
        print(f"{len(chosen):,} pages, {size / 1e6:.1f} MB of HTML")
        ours, theirs = said(sys.executable, "ours.py", whole), said(peer, "peer.py", whole)
        for name in ("read", "chain"):
            mine, other = (size / 1e6 / one[name] for one in (ours, theirs))
            print(f"{name:<8}{mine:>8.1f} MB/s{other:>8.1f} MB/s{mine / other:>7.1f} x")
        mine, other = said(sys.executable, "ours.py", broken), said(peer, "peer.py", broken)
        print(f"one damaged record: {mine['pages']:,} pages read, and {other['pages']:,}")


def record(number: int, page: bytes) -> bytes:
    """The record of a page."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
        f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{number:012d}>\r\n"
        f"WARC-Target-URI: https://example.org/{number}\r\n"
        "Content-Type: application/http; msgtype=response\r\n"
        "WARC-Identified-Payload-Type: text/html\r\n"  # as Common Crawl says it
        f"Content-Length: {len(answer)}\r\n\r\n"
    )
    return head.encode() + answer + b"\r\n\r\n"


def write(folder: Path, data: bytes) -> None:
    """An archive in a folder of its own."""
    folder.mkdir()
    (folder / "a.warc.gz").write_bytes(data)


def said(python: str, script: str, folder: Path) -> dict[str, Any]:
    """What a script prints as JSON."""
    done = subprocess.run(
        [python, str(HERE / script), str(folder)],
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
