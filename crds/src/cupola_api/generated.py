"""A file that is generated from code: written anew, or compared with what is there."""

from __future__ import annotations

import sys
from pathlib import Path


def write(path: Path, text: str, *, check: bool, source: str) -> int:
    """Write the file; with `check` write nothing, and say so if it differs. Returns the exit code.

    `source`: what the file is made from, for the sentence.
    """
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return 0
    if not path.is_file() or path.read_text() != text:
        print(f"{path} differs from {source}; run `make crds`", file=sys.stderr)
        return 1
    return 0
