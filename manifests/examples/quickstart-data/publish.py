#!/usr/bin/env python3
"""How the scripts of this folder write into a store: a whole folder at once, or nothing."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any


class NotPossible(Exception):
    """The script cannot do its work; the message names what, where, and the remedy."""


def lines(records: Iterable[Mapping[str, Any]]) -> str:
    """JSON lines in one spelling: sorted keys, UTF-8."""
    return "".join(
        json.dumps(record, sort_keys=True, ensure_ascii=False) + "\n" for record in records
    )


def publish(folder: Path, files: Mapping[str, str]) -> int:
    """Put `files` (name -> content) in place of whatever `folder` holds; returns their bytes.

    The new folder is written beside the old one and takes its place by renaming, so that a reader
    never sees half of it. Raises NotPossible.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    try:
        temporary.mkdir(parents=True)
        for name, content in files.items():
            (temporary / name).write_text(content, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    except OSError as error:
        raise NotPossible(
            f"{folder} cannot be written: {error.strerror}; name a folder of your own with --store"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sum(len(content.encode()) for content in files.values())


def run(work: Callable[[], None]) -> int:
    """Do the work of a script; returns its exit code, 1 with a sentence when it is not possible."""
    try:
        work()
    except NotPossible as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
