"""Cupola's quality rules beside datatrove's, rule by rule: who drops which documents of a folder.

    python compare.py FOLDER

Prints, for each rule alone, how many documents both drop and how many only one of the two, with
datatrove's own words and with words as Cupola has them; how many all rules of Gopher together keep;
how the rules about n-grams come to agree; and seconds of CPU. `bench/curation` makes the environment
of the peer; a folder of its corpus serves as documents.
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

C4 = {"lorem-ipsum", "curly-bracket", "few-sentences"}
"""Rules that Gopher does not have."""

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
    show_gopher(ours, theirs, alike)
    show_n_grams(ours, alike, said(peer, "peer.py", str(asked.folder), "--n-grams"))
    show_speed(ours, theirs)


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
    print(f"{len(ours['cleaned']):,} documents, {ours['bytes'] / 1e6:.1f} MB\n")
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


def show_gopher(ours: dict[str, Any], theirs: dict[str, Any], alike: dict[str, Any]) -> None:
    """What all of Gopher's rules together keep, and what those keep that do not look at n-grams."""
    print(f"\n{'documents that Gopher keeps':<32}{'both':>7}{'only we':>9}{'only they':>11}")
    simple = [name for name in theirs["dropped"] if name not in CLEANED | C4 and "gram" not in name]
    grams = [name for name in theirs["dropped"] if "gram" in name]
    for title, names, other in (
        ("all rules", simple + grams, theirs),
        ("all rules, with our words", simple + grams, alike),
        ("without n-grams", simple, theirs),
        ("without n-grams, with our words", simple, alike),
    ):
        mine, its = (_kept(one, names, len(ours["cleaned"])) for one in (ours, other))
        print(f"{title:<32}{len(mine & its):>7,}{len(mine - its):>9,}{len(its - mine):>11,}")


def _kept(found: dict[str, Any], names: list[str], documents: int) -> set[int]:
    return {*range(documents)}.difference(*(found["dropped"][name] for name in names))


def show_n_grams(
    ours: dict[str, Any], alike: dict[str, Any], steps: dict[str, list[list[int]]]
) -> None:
    """In how many documents the rules about n-grams differ, step by step (N_GRAMS of peer.py)."""
    print(
        f"\n{'documents that differ':<24}{'white space':>13}{'no marks':>10}{'words':>8}{'all':>6}"
    )
    for name, found in steps.items():
        mine = {*ours["dropped"][name]}
        counts = [len(mine ^ {*one}) for one in (alike["dropped"][name], *found)]
        print(f"{name:<24}{counts[0]:>13,}{counts[1]:>10,}{counts[2]:>8,}{counts[3]:>6,}")


def show_speed(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    size = ours["bytes"] / 1e6
    print(f"\n{'MB a second of CPU':<24}{'Cupola':>8}{'datatrove':>11}{'ratio':>8}")
    for name, seconds in ours["seconds"].items():
        rate = f"{name:<24}{size / seconds:>8.1f}"
        if name in theirs["seconds"]:
            other = theirs["seconds"][name]
            rate += f"{size / other:>11.2f}{other / seconds:>8.1f}"
        print(rate)


if __name__ == "__main__":
    main()
