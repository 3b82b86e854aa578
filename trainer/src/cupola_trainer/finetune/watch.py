"""What a training says while it runs."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cupola_api import metrics
from cupola_api.outcome import FailureClass
from cupola_trainer.checkpoint import Origin
from cupola_trainer.history import History
from cupola_trainer.meter import Meter
from cupola_trainer.pod import PodFailure
from cupola_trainer.timesheet import Timesheet

WINDOW = 20
"""Steps over which the speed is smoothed."""

LAST_LOSSES = 50
"""Steps whose mean loss is the training loss of the summary: batches differ in length, so in loss."""

SECONDS = 5.0
"""Time between two lines for people."""


class Watch(TrainerCallback):
    """Reports every step; keeps count of tokens and losses over all attempts of the run."""

    def __init__(self, origin: Origin, meter: Meter | None, history: History | None) -> None:
        """`meter`, `history`: of rank 0."""
        self.tokens = origin.state.tokens if origin.state else 0
        """Tokens trained on so far, of all ranks."""
        self._before = self.tokens
        self._origin = origin
        self._meter = meter
        self._history = history
        losses = origin.state.losses if origin.state else []
        self._losses: deque[float] = deque(losses, maxlen=LAST_LOSSES)
        self._sheet = Timesheet(origin.resumed()) if meter else None
        self._times: deque[tuple[float, int]] = deque(maxlen=WINDOW + 1)
        self._said = -math.inf

    @property
    def losses(self) -> list[float]:
        """Training losses of the last steps, oldest first."""
        return list(self._losses)

    @property
    def loss(self) -> float:
        """Mean training loss of the last steps, nats per answer token."""
        return sum(self._losses) / len(self._losses)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock, and say where the training begins."""
        if self._sheet:
            self._sheet.pace.resume()
        self._times.append((time.monotonic(), self.tokens))
        if self._meter:
            self._meter.set(self._progress(self._origin.step, state) | self._origin.metrics())

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Say that a step begins; the first one ends the start-up."""
        if self._meter and self._sheet and self._sheet.step():
            self._meter.set(self._sheet.metrics())

    def saving(self) -> None:
        """Write down the steps that a checkpoint will hold, before there is one."""
        if self._sheet:
            self._sheet.saving()
        if self._history:
            self._history.flush()

    def saved(self, step: int) -> None:
        """Say that the checkpoint of a step is complete."""
        if self._meter and self._sheet:
            self._sheet.saved()
            self._meter.set(
                {metrics.CHECKPOINT_STEP: step, metrics.CHECKPOINT_TIME: time.time()}
                | self._sheet.metrics()
            )
            print(f"checkpoint of step {step} saved", flush=True)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Write history and metrics. Raises PodFailure, on every rank, for a loss that is not finite."""
        if not logs or "loss" not in logs:
            return
        loss, norm = float(logs["loss"]), float(logs.get("grad_norm") or 0.0)
        if not math.isfinite(loss + norm):
            raise PodFailure(
                "LossNotFinite",
                f"step {state.global_step} has training loss {loss} and gradient norm {norm}; set a "
                "lower spec.schedule.learningRate and a new spec.revision",
                FailureClass.USER,
            )
        self._losses.append(loss)
        self.tokens = self._before + int(logs["num_tokens"])  # TRL counts from 0
        if self._sheet:
            self._sheet.pace.step()
        self._times.append((time.monotonic(), self.tokens))
        if self._history is None or self._meter is None or self._sheet is None:
            return
        (start, before), (now, _tokens) = self._times[0], self._times[-1]
        speed = (self.tokens - before) / max(now - start, 1e-9)
        self._history.append(
            {
                "step": state.global_step,
                "loss": loss,
                "lr": float(logs["learning_rate"]),
                "grad_norm": norm,
                "tokens": self.tokens,
                "tokens_per_second": round(speed, 1),
                "time": round(time.time(), 3),
            }
        )
        self._meter.set(
            self._progress(state.global_step, state)
            | self._sheet.metrics()
            | {metrics.LOSS: loss, metrics.TOKENS_PER_SECOND: speed}
        )
        if now - self._said >= SECONDS or state.global_step == state.max_steps:
            self._said = now
            print(
                f"step {state.global_step}/{state.max_steps}  loss {loss:.4f}  {speed:,.0f} tokens/s",
                flush=True,
            )

    def _progress(self, step: int, state: TrainerState) -> dict[str, float]:
        return {
            metrics.STEP: step,
            metrics.STEPS: state.max_steps,
            metrics.TOKENS: self.tokens,
            metrics.PROGRESS: step / state.max_steps,
        }
