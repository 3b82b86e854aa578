"""Cupola's quality rules beside datatrove's, rule by rule: who drops which documents of a folder.

    python compare.py FOLDER

Prints, for each rule alone, how many documents both drop and how many only one of the two, with
datatrove's own words and with words as Cupola has them, and seconds of CPU. `bench/curation` makes
the environment of the peer; a folder of its corpus serves as documents.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CLEANED = {"unpunctuated-lines", "short-lines", "repeated-lines", "list-like"}
"""Rules that look at what is left of documents: datatrove drops some before it comes to them."""

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "curation"))

from compare import environment  # noqa: E402  of bench/curation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of JSON lines")
    parser.add_argument("--peer", help="a Python with datatrove, instead of the one made for it")
    asked = parser.parse_args()
    peer = asked.peer or str(environment())
    ours = said(sys.executable, "ours.py", str(asked.folder))
    theirs = said(peer, "peer.py", str(asked.folder))
    alike = said(peer, "peer.py", str(asked.folder), "--words", "white-space")
    show(ours, theirs, alike)


def said(python: str, script: str, *arguments: str) -> dict[str, Any]:
    """What a script prints as JSON."""
    done = subprocess.run(
        [python, str(HERE / script), *arguments],
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def show(ours: dict[str, Any], theirs: dict[str, Any], alike: dict[str, Any]) -> None:
    size = ours["bytes"] / 1e6
    print(f"{len(ours['cleaned']):,} documents, {size:.1f} MB\n")
    print(f"{'':<32}{'both':>7}{'only we':>9}{'only they':>11}   with our words:")
    measured = {i for i, text in enumerate(theirs["cleaned"]) if text is not None}
    for name in theirs["dropped"]:
        mine, other, same = ({*one["dropped"][name]} for one in (ours, theirs, alike))
        if name in CLEANED:
            mine &= measured
        print(
            f"{name:<32}{len(mine & other):>7,}{len(mine - other):>9,}{len(other - mine):>11,}"
            f"{len(mine - same):>12,}{len(same - mine):>9,}"
        )
    pairs = zip(ours["cleaned"], theirs["cleaned"], strict=True)
    both = [(a, b) for a, b in pairs if b is not None]
    equal = sum(a == b for a, b in both)
    print(f"\nlines taken out: {equal:,} of {len(both):,} documents are the same in both")
    print(f"\n{'MB a second of CPU':<24}{'Cupola':>8}{'datatrove':>11}{'ratio':>8}")
    for name, seconds in ours["seconds"].items():
        rate = f"{name:<24}{size / seconds:>8.1f}"
        if name in theirs["seconds"]:
            other = theirs["seconds"][name]
            rate += f"{size / other:>11.2f}{other / seconds:>8.1f}"
        print(rate)


if __name__ == "__main__":
    main()
