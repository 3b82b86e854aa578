"""What rank 0 tells the world while it trains: metrics, history, and lines for people."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack
from datetime import timedelta
from types import TracebackType
from typing import Self

from cupola_api import metrics
from cupola_api.run import PretrainRun
from cupola_trainer.checkpoint import Origin
from cupola_trainer.history import History
from cupola_trainer.meter import Meter
from cupola_trainer.storage import Place
from cupola_trainer.timesheet import Timesheet

_LINE_SECONDS = 5.0
_SMOOTHED = 20


class Report:
    """Serves and records the progress of a run while it is open."""

    def __init__(self, run: PretrainRun, attempt: Place, origin: Origin) -> None:
        self._steps = run.steps
        self._tokens = run.sequences_per_step * run.shape.context
        self._sheet = Timesheet(origin.resumed())
        self._times = deque([time.monotonic()], maxlen=_SMOOTHED + 1)
        self._printed = -_LINE_SECONDS
        self._open = ExitStack()
        self._meter = self._open.enter_context(Meter())
        self._history = self._open.enter_context(History(attempt))
        self._meter.set(self._progress(origin.step) | {metrics.STEPS: run.steps} | origin.metrics())

    def begins(self) -> None:
        """Say that a step begins."""
        if self._sheet.step():
            self._meter.set(self._sheet.metrics())

    def step(self, step: int, *, loss: float, rate: float, norm: float) -> None:
        """Say that `step` steps are done, and how the last one went."""
        self._sheet.pace.step()
        now = time.monotonic()
        self._times.append(now)
        speed = (len(self._times) - 1) * self._tokens / (now - self._times[0])
        self._meter.set(
            self._progress(step)
            | self._sheet.metrics()
            | {metrics.LOSS: loss, metrics.TOKENS_PER_SECOND: speed}
        )
        self._history.append(
            {
                "step": step,
                "loss": loss,
                "lr": rate,
                "grad_norm": norm,
                "tokens": step * self._tokens,
                "tokens_per_second": round(speed, 1),
                "time": round(time.time(), 3),
            }
        )
        if now - self._printed >= _LINE_SECONDS or step == self._steps:
            self._printed = now
            left = timedelta(seconds=round((self._steps - step) * self._tokens / speed))
            print(
                f"step {step}/{self._steps}  loss {loss:.4f}  lr {rate:.2e}  norm {norm:.2f}  "
                f"{speed:,.0f} tokens/s  {left} left",
                flush=True,
            )

    def saving(self) -> None:
        """Write down the steps that a checkpoint will hold, before there is one."""
        self._sheet.saving()
        self._history.flush()

    def saved(self, step: int) -> None:
        """Say that the checkpoint of a step is complete."""
        self._sheet.saved()
        self._meter.set(
            {metrics.CHECKPOINT_STEP: step, metrics.CHECKPOINT_TIME: time.time()}
            | self._sheet.metrics()
        )
        print(f"checkpoint of step {step} saved", flush=True)

    def _progress(self, step: int) -> dict[str, float]:
        return {
            metrics.STEP: step,
            metrics.TOKENS: step * self._tokens,
            metrics.PROGRESS: step / self._steps,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
