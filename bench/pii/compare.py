"""Private data: what is found in planted text, and speed beside datatrove's formatter.

    python compare.py FOLDER [--every 20] [--peer PYTHON]

FOLDER holds JSON lines, as `bench/curation` makes them. Planted text is that of `held_out`. The peer replaces e-mail and IP addresses only; Cupola is measured with
these two kinds, and with all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection
from itertools import chain, islice
from pathlib import Path

from cupola_api.dataset import PiiKind
from cupola_trainer.curate import pii

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "curation"))

from compare import environment  # noqa: E402  of bench/curation
from held_out import lookalikes, planted  # noqa: E402

ALL = frozenset(PiiKind)
SEED = 20261123
PEER = """
import json, sys, time
from datatrove.pipeline.formatters import PIIFormatter
texts = json.load(sys.stdin)
formatter = PIIFormatter()
formatter.format(texts[0])
begun = time.process_time()
changed = sum(formatter.format(text) != text for text in texts)
print(json.dumps({"seconds": time.process_time() - begun, "changed": changed}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of JSON lines")
    parser.add_argument("--every", type=int, default=20, help="take each Nth document")
    parser.add_argument("--peer", help="a Python with datatrove, instead of the one made for it")
    asked = parser.parse_args()
    found(count=2000)
    lines = (line for path in sorted(asked.folder.glob("*.jsonl")) for line in path.open())
    texts = [json.loads(line)["text"] for line in islice(lines, 0, None, asked.every)]
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"\n{len(texts):,} documents, {size:.1f} MB; MB a second of CPU, documents changed")
    both = {PiiKind.EMAIL, PiiKind.IP_ADDRESS}
    for name, kinds in (("all kinds", ALL), ("e-mail and IP", both)):
        seconds, changed = redacted(texts, kinds)
        print(f"Cupola, {name:<16}{size / seconds:>8.1f}{changed:>8,}")
    python = asked.peer or str(environment())
    said = subprocess.run(
        [python, "-c", PEER],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    if said.returncode:
        sys.exit(f"the peer failed:\n{said.stderr[-2000:]}")
    peer = json.loads(said.stdout)
    print(f"datatrove, e-mail and IP{size / peer['seconds']:>8.1f}{peer['changed']:>8,}")


def found(count: int) -> None:
    """Print recall and precision by kind.

    A finding is right if the whole document is as it should be after it.
    """
    right: Counter[PiiKind] = Counter()
    wrong: Counter[PiiKind] = Counter()
    for document in chain(planted(SEED, count), lookalikes(SEED, count // 10)):
        after, counts = pii.redact(document.text, ALL)
        if (kind := document.kind) is not None:
            name = pii.PLACEHOLDERS[kind].decode()
            if after == document.text.replace(document.value, name):
                right[kind] += 1
                del counts[kind]
        wrong.update(counts)
    print(f"{'':<12}{'recall':>8}{'precision':>11}   of {count:,} planted")
    for kind in PiiKind:
        print(
            f"{kind:<12}{right[kind] / count:>8.4f}{right[kind] / (right[kind] + wrong[kind]):>11.4f}"
        )


def redacted(texts: list[str], kinds: Collection[PiiKind]) -> tuple[float, int]:
    """Seconds of CPU, and how many documents changed."""
    pii.redact(texts[0], kinds)
    begun = time.process_time()
    changed = sum(bool(pii.redact(text, kinds)[1]) for text in texts)
    return time.process_time() - begun, changed


if __name__ == "__main__":
    main()
