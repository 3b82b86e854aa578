"""Checkpoints of a tuning: where it begins, when it saves, and when it stops.

They are Cupola's own (`cupola_trainer.checkpoint`), not those of TRL, which are pickles. What is
trained is saved: with LoRA that are the adapters.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cupola_api.run import FineTuneRun
from cupola_trainer import checkpoint, hang
from cupola_trainer.checkpoint.choose import CHECKPOINTS
from cupola_trainer.distributed import Ranks
from cupola_trainer.finetune import settings
from cupola_trainer.finetune.watch import Watch
from cupola_trainer.pretrain import engine as deep
from cupola_trainer.storage import Place
from cupola_trainer.termination import Termination


class Start(NamedTuple):
    """What an attempt begins with."""

    origin: checkpoint.Origin
    saved: checkpoint.Checkpoint | None
    """The checkpoint to go on from."""
    earlier: Sequence[Place]
    """Older attempts."""


def start(run: FineTuneRun, ranks: Ranks, folder: Place, attempt: Place) -> Start:
    """Choose the newest checkpoint of a run that verifies. Raises PodFailure.

    `folder`: of the run; `attempt`: of this attempt, in it.
    """
    names = ranks.on_main(lambda: [one.name for one in checkpoint.earlier_attempts(attempt)])
    earlier = [folder / name for name in names]
    path, passed_over = ranks.on_main(lambda: checkpoint.find(folder, run.digest))
    if path is None:
        return Start(checkpoint.Origin(passed_over=passed_over), None, earlier)
    with checkpoint.remedied():
        saved = checkpoint.opened(folder / path, ranks)
    return Start(checkpoint.Origin(saved.state, saved.saved_at, passed_over), saved, earlier)


class Plain:
    """A training without DeepSpeed, as an engine that shards nothing."""

    def __init__(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.module = model
        self.optimizer = self.basic_optimizer = optimizer

    def zero_optimization_stage(self) -> int:
        """ZeRO stage."""
        return 0


Trainer = Any
"""An SFTTrainer; its types say that each part may be missing."""


def engine_of(trainer: Trainer) -> deep.Engine:
    """The engine of a trainer that has begun; its parameters have the names of `trainer.model`."""
    if trainer.is_deepspeed_enabled:
        return trainer.model_wrapped
    return Plain(trainer.model, trainer.optimizer.optimizer)  # in Accelerate's wrapper


class Checkpoints(TrainerCallback):
    """Puts a training where its checkpoint left it, makes new ones, and stops it when asked to."""

    def __init__(
        self,
        run: FineTuneRun,
        ranks: Ranks,
        begin: Start,
        *,
        termination: Termination,
        watch: Watch,
        attempt: Place,
    ) -> None:
        self.stopped = False
        """Whether the training ended before its last step, as asked."""
        self.step = begin.origin.step
        """Optimizer steps done."""
        self.saved = begin.origin.step or None
        """Step of the newest checkpoint."""
        self._run = run
        self._ranks = ranks
        self._begin = begin
        self._termination = termination
        self._watch = watch
        self._attempt = attempt
        self._saved_at = time.monotonic()
        self._due = False
        self._trainer: Trainer = None

    def attach(self, trainer: Trainer) -> None:
        """Take part in a training that has not begun: restore its weights, skip its used examples.

        The trainer's examples must lie in the order of their use. The rest of the state is restored
        when the engine has it. Raises PodFailure for a checkpoint that does not hold all.
        """
        self._trainer = trainer
        trainer.add_callback(self)
        if self._begin.saved is None:
            return
        used = self.step * self._run.examples_per_step
        trainer.train_dataset = trainer.train_dataset.select(
            range(used, len(trainer.train_dataset))
        )
        with checkpoint.remedied():
            # Before an engine rounds and spreads them.
            deep.load_weights(trainer.model, self._begin.saved)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Give the engine its exact state, and the trainer its step."""
        trainer = self._trainer
        engine = engine_of(trainer)
        deep.add_moments(engine)
        self._saved_at = time.monotonic()
        if self._begin.saved is None:
            return
        with checkpoint.remedied():
            deep.restore(engine, self._begin.saved)
        state.global_step = self.step
        # Private to Trainer: the step since which it averages the loss that it logs.
        trainer._globalstep_last_logged = self.step  # noqa: SLF001
        scheduler = trainer.lr_scheduler
        rates = [
            rate * function(self.step)
            for rate, function in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
        ]
        scheduler.load_state_dict(
            {**scheduler.state_dict(), "last_epoch": self.step, "_last_lr": rates}
        )
        for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Make what dropout draws a function of the step, so that no random state is to be saved."""
        hang.progress(f"step {state.global_step + 1} of {state.max_steps}")
        number = state.global_step * self._ranks.size + self._ranks.rank
        torch.manual_seed((self._run.hyperparameters.seed << 32) + number)

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """A micro-batch of a step is done."""
        hang.progress()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Let the ranks agree on whether to save after this step, and on whether it was the last."""
        self.step = state.global_step
        due = time.monotonic() - self._saved_at >= self._run.checkpoint_seconds
        stop, save = self._ranks.total([self._termination.asked, self._ranks.main and due])
        left = state.global_step < state.max_steps
        if stop:
            self.stopped = left
            control.should_training_stop = True
        self._due = left and bool(stop or save)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Save if it is due; the step's loss is known by now. Raises PodFailure, on every rank."""
        if not self._due:
            return
        self._due = False
        hang.progress(f"the checkpoint of step {self.step}")
        self._watch.saving()
        self._save()
        self.saved = self.step
        self._saved_at = time.monotonic()
        self._watch.saved(self.step)

    def _save(self) -> None:
        run, ranks = self._run, self._ranks
        folder = self._attempt / CHECKPOINTS
        engine = engine_of(self._trainer)
        state = checkpoint.State(
            step=self.step,
            samples=self.step * run.examples_per_step,
            tokens=self._watch.tokens,
            losses=self._watch.losses,
            ranks=ranks.size,
            zero_stage=run.zero_stage if settings.deepspeed(run) else 0,
            shapes=deep.shapes(engine),
        )
        mine = deep.own_fragments(engine, ranks)
        checkpoint.save(folder, mine, state, run=run.digest, ranks=ranks)
        if ranks.main:
            checkpoint.prune_or_warn(folder, run.checkpoint_keep, self._begin.earlier)
