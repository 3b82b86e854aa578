"""SIGTERM, noted instead of died of: Kubernetes' way to ask a pod to end."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Self


class Termination:
    """While it is open, `asked` says whether SIGTERM came. For the main thread."""

    def __init__(self) -> None:
        self.asked = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def __enter__(self) -> Self:
        self._old = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGTERM, self._old)
