"""Histories of the simulator a second of CPU, each played once as the test suite does.

    .venv/bin/python bench/simulator.py [--histories 4000] [--first 0]

One process; the suite plays its 20,000 on two. The first hundred are not counted: they read modules
and fill what is remembered.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from simulator import script
from simulator.fast import fast

WARM = 100
BLOCK = 500


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--histories", type=int, default=4000)
    words.add_argument("--first", type=int, default=0, help="the first seed")
    chosen = words.parse_args()
    blocks, broken = [], []
    with fast():
        for seed in range(chosen.first, chosen.first + WARM):
            script.by_seed(seed)
        begin = chosen.first + WARM
        for start in range(begin, begin + chosen.histories, BLOCK):
            since = time.process_time()
            found = [(seed, script.by_seed(seed)) for seed in range(start, start + BLOCK)]
            blocks.append(time.process_time() - since)
            broken += [(seed, failure) for seed, failure in found if failure]
    rates = [BLOCK / taken for taken in blocks]
    print(
        f"{BLOCK * len(blocks) / sum(blocks):.0f} histories a second of CPU "
        f"(of {BLOCK} each: {min(rates):.0f} to {max(rates):.0f}); {len(broken)} broke a property"
    )
    for seed, failure in broken:
        print(f"seed {seed}: {failure}")


if __name__ == "__main__":
    main()
