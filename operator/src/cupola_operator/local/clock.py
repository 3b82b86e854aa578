"""Time as Kubernetes writes it: RFC 3339 in UTC, whole seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

Clock = Callable[[], float]
"""Unix time in seconds; `time.time` outside of tests."""


def rfc3339(seconds: float | None = None) -> str:
    """A Unix time (by default now) as `2026-01-31T12:00:00Z`."""
    return _rfc3339(int(time.time() if seconds is None else seconds))


@lru_cache(maxsize=4096)
def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(text: str) -> float:
    """The Unix time of an RFC 3339 text. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp()
