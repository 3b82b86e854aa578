"""What a training says while it runs, and how it is stopped."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cupola_api import metrics
from cupola_api.outcome import FailureClass
from cupola_trainer.distributed import Ranks
from cupola_trainer.history import History
from cupola_trainer.meter import Meter
from cupola_trainer.pod import PodFailure
from cupola_trainer.termination import Termination

WINDOW = 20
"""Steps over which the speed is smoothed."""

LAST_LOSSES = 50
"""Steps whose mean loss is the training loss of the summary: batches differ in length, so in loss."""

SECONDS = 5.0
"""Time between two lines for people."""


class Watch(TrainerCallback):
    """Reports every step; ends the training on all ranks at one step when any was asked to stop."""

    def __init__(
        self,
        ranks: Ranks,
        termination: Termination,
        meter: Meter | None,
        history: History | None,
    ) -> None:
        """`meter`, `history`: of rank 0."""
        self.stopped = False
        """Whether the training ended before its last step, as asked."""
        self.step = 0
        """Optimizer steps done."""
        self.tokens = 0
        """Tokens trained on so far, of all ranks."""
        self._ranks = ranks
        self._meter = meter
        self._history = history
        self._termination = termination
        self._losses: deque[float] = deque(maxlen=LAST_LOSSES)
        self._times: deque[tuple[float, int]] = deque([(time.monotonic(), 0)], maxlen=WINDOW + 1)
        self._said = -math.inf

    @property
    def loss(self) -> float:
        """Mean training loss of the last steps, nats per answer token."""
        return sum(self._losses) / len(self._losses)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock."""
        self._times[0] = (time.monotonic(), 0)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Let the ranks agree on whether this step was the last."""
        self.step = state.global_step
        if self._ranks.total([float(self._termination.asked)])[0]:
            self.stopped = state.global_step < state.max_steps
            control.should_training_stop = True

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
        self.tokens = int(logs["num_tokens"])
        self._times.append((time.monotonic(), self.tokens))
        if self._history is None or self._meter is None:
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
            {
                metrics.STEP: state.global_step,
                metrics.STEPS: state.max_steps,
                metrics.LOSS: loss,
                metrics.TOKENS: self.tokens,
                metrics.TOKENS_PER_SECOND: speed,
                metrics.PROGRESS: state.global_step / state.max_steps,
            }
        )
        if now - self._said >= SECONDS or state.global_step == state.max_steps:
            self._said = now
            print(
                f"step {state.global_step}/{state.max_steps}  loss {loss:.4f}  {speed:,.0f} tokens/s",
                flush=True,
            )
