"""The training loop: from a step to the last one, or to where the ranks agree to stop."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence

import torch

from cupola_api.outcome import FailureClass
from cupola_api.run import PretrainRun
from cupola_trainer import checkpoint, hang
from cupola_trainer.checkpoint.choose import CHECKPOINTS
from cupola_trainer.distributed import Ranks
from cupola_trainer.model import losses
from cupola_trainer.packing import logits_of
from cupola_trainer.pod import PodFailure
from cupola_trainer.pretrain import engine as deep
from cupola_trainer.pretrain.data import TrainingData
from cupola_trainer.pretrain.report import Report
from cupola_trainer.pretrain.schedule import learning_rate
from cupola_trainer.storage import Place
from cupola_trainer.termination import Termination

LAST_LOSSES = 10
"""Steps whose mean loss is the training loss of the summary."""


class Loop:
    """A training under way: the engine, the steps done, and the losses of the last of them."""

    def __init__(
        self,
        run: PretrainRun,
        ranks: Ranks,
        engine: deep.Engine,
        *,
        data: TrainingData,
        end_token: int | None,
        attempt: Place,
        earlier: Sequence[Place],
        state: checkpoint.State | None,
    ) -> None:
        """`end_token`: see `logits_of`; `earlier`: older attempts.

        `state`: of the checkpoint that the engine was restored from.
        """
        self._run = run
        self._ranks = ranks
        self.engine = engine
        self._data = data
        self._end_token = end_token
        self._attempt = attempt
        self._earlier = earlier
        self.saved = state.step if state else None
        """Step of the newest checkpoint."""
        self.step = state.step if state else 0
        self.losses: deque[float] = deque(state.losses if state else [], maxlen=LAST_LOSSES)

    def train(self, termination: Termination, report: Report | None) -> bool:
        """Train to the last step; False if the ranks stopped before, after saving.

        They stop after the step in which any of them was asked to: the wish travels with the loss,
        so all see it at the same step. So does rank 0's view that a checkpoint is due.
        """
        run, ranks = self._run, self._ranks
        saved = time.monotonic()
        if ranks.total([termination.asked])[0]:
            return False
        while self.step < run.steps:
            hang.progress(f"step {self.step + 1} of {run.steps}")
            if report:
                report.begins()
            loss, norm, rate = self._step()
            due = ranks.main and time.monotonic() - saved >= run.checkpoint_seconds
            loss, norm, stop, save = ranks.total([loss, norm, termination.asked, due])
            self.step += 1
            self._check(loss, norm, rate)
            self.losses.append(loss)
            if report:
                report.step(self.step, loss=loss, rate=rate, norm=norm)
            if stop or (save and self.step < run.steps):
                self.save(report)
                saved = time.monotonic()
            if stop:
                return False
        return True

    def save(self, report: Report | None) -> None:
        """Make a checkpoint of this step, if there is none; raises PodFailure if storage fails."""
        if self.saved == self.step:
            return
        hang.progress(f"the checkpoint of step {self.step}")
        if report:
            report.saving()
        self._save()
        self.saved = self.step
        if report:
            report.saved(self.step)

    def _step(self) -> tuple[float, float, float]:
        """One optimizer step: this rank's share of the loss and of the gradient's norm, the rate."""
        run, engine = self._run, self.engine
        chosen = run.hyperparameters
        rate = learning_rate(
            self.step,
            steps=run.steps,
            warmup=chosen.warmup_steps,
            peak=chosen.learning_rate,
            final_ratio=chosen.final_ratio,
        )
        deep.set_learning_rate(engine, rate)
        share = run.sequences_per_step // self._ranks.size
        first = self.step * run.sequences_per_step + self._ranks.rank * share
        tokens = torch.from_numpy(self._data.read(range(first, first + share)))
        parts = tokens.to(self._ranks.device).split(run.micro_batch)
        total = torch.zeros((), device=self._ranks.device)
        norm = 0.0
        for number, part in enumerate(parts, start=1):
            logits = logits_of(engine, part[:, :-1], self._end_token)
            loss = losses(logits, part[:, 1:]).mean()
            engine.backward(loss)
            total += loss.detach()
            if number < len(parts):
                engine.step()
            else:
                norm = deep.take_step(engine)
            hang.progress()
        size = self._ranks.size
        return float(total) / (len(parts) * size), norm / size, rate

    def _check(self, loss: float, norm: float, rate: float) -> None:
        # The user's move: training is deterministic, so the next attempt would come to the same.
        if not math.isfinite(loss) or not math.isfinite(norm):
            raise PodFailure(
                "LossNotFinite",
                f"the loss was {loss} and the gradient's norm {norm} at step {self.step}, learning "
                f"rate {rate:.2e}; start a new run (spec.revision) with a lower "
                "spec.schedule.learningRate or a longer warmup",
                FailureClass.USER,
            )

    def _save(self) -> None:
        run = self._run
        folder = self._attempt / CHECKPOINTS
        state = checkpoint.State(
            step=self.step,
            samples=self.step * run.sequences_per_step,
            tokens=self.step * run.sequences_per_step * run.shape.context,
            losses=list(self.losses),
            ranks=self._ranks.size,
            zero_stage=run.zero_stage,
            shapes=deep.shapes(self.engine),
        )
        mine = deep.own_fragments(self.engine, self._ranks)
        checkpoint.save(folder, mine, state, run=run.digest, ranks=self._ranks)
        if self._ranks.main:
            checkpoint.prune_or_warn(folder, run.checkpoint_keep, self._earlier)
