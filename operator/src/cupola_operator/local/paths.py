"""Paths of a container without a container: mount paths rewritten to where the files really lie."""

from __future__ import annotations

import re
from collections.abc import Mapping


def rewrite(text: str, mounts: Mapping[str, str]) -> str:
    """Replace each mount path in `text` (a command, an argument, a value) by its real path.

    A mount path counts where a path begins and up to where a path component ends, so that
    `/data/x`, `--out=/data/x` and `/bin:/data` change and `/datashop`, `/my/data` and
    `file:///data` do not. Of nested mounts the longest wins, and what was put in is not looked at
    again.
    """
    if not mounts:
        return text
    names = "|".join(re.escape(path) for path in sorted(mounts, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w./~-])(?:{names})(?![\w.-])")
    return pattern.sub(lambda match: mounts[match.group()], text)
