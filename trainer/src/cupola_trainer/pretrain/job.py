"""The work of a PretrainRun from its inputs to its artifact."""

from __future__ import annotations

import math
import statistics
import warnings
from contextlib import nullcontext
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from cupola_api.common import Artifact
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind
from cupola_api.run import PretrainRun
from cupola_api.training import ModelSummary, Precision
from cupola_trainer import checkpoint, hang, pod, storage, timesheet
from cupola_trainer.checkpoint.choose import natural
from cupola_trainer.distributed import Ranks, ranks_of
from cupola_trainer.export import export
from cupola_trainer.model import build, choose_attention
from cupola_trainer.pod import PodFailure
from cupola_trainer.pretrain import data
from cupola_trainer.pretrain import engine as deep
from cupola_trainer.pretrain.loop import Loop
from cupola_trainer.pretrain.report import Report
from cupola_trainer.pretrain.validate import Stopped, validation_loss
from cupola_trainer.storage import Place
from cupola_trainer.termination import Termination

ARTIFACT = "artifact"
"""Folder of an attempt that holds the model."""


def pretrain(run: PretrainRun) -> Outcome:
    """Train the model of a run, from its newest checkpoint if there is one. Raises PodFailure.

    The attempt writes in its own folder only; checkpoints and artifacts of all attempts are read.
    """
    disable_progress_bar()
    warnings.filterwarnings(
        "ignore", "`torch.distributed.*is deprecated", FutureWarning
    )  # DeepSpeed
    torch.set_num_threads(run.world.threads)
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    deep.accumulation(run)
    folder = storage.place_of(run.folder)
    with ranks_of(run.world, run.output) as ranks:
        if done := ranks.on_main(lambda: _finished(folder, run)):
            return _succeeded(Artifact.model_validate(done))
        hang.progress("the check of its Datasets")
        ranks.on_each(lambda: data.check(run, main=ranks.main))
        datasets = data.open_datasets(run)
        attempt = folder / pod.attempt()
        names = ranks.on_main(lambda: [one.name for one in checkpoint.earlier_attempts(attempt)])
        engine, origin = _start(run, ranks, folder)
        with (
            Termination() as termination,
            Report(run, attempt, origin) if ranks.main else nullcontext() as report,
        ):
            loop = Loop(
                run,
                ranks,
                engine,
                data=data.TrainingData(run, datasets),
                end_token=data.end_token(run, datasets[0]),
                attempt=attempt,
                earlier=[folder / name for name in names],
                state=origin.state,
            )
            if not loop.train(termination, report):
                return _stopped(run, loop)
            try:
                with timesheet.validating():
                    summary = _measure(run, ranks, loop, datasets, termination)
            except Stopped:
                loop.save(report)
                return _stopped(run, loop)
            hang.progress("the writing of the model")
            weights = deep.full_weights(engine, ranks)
            done = ranks.on_main(lambda: _export(run, attempt, datasets[0], weights, summary))
            return _succeeded(Artifact.model_validate(done))


def _start(run: PretrainRun, ranks: Ranks, folder: Place) -> tuple[deep.Engine, checkpoint.Origin]:
    """The engine in the state of the newest whole checkpoint, or of a new model; and which it was."""
    hang.progress("the start from the newest checkpoint")
    path, passed_over = ranks.on_main(lambda: checkpoint.find(folder, run.digest))
    model = build(run.shape, run.hyperparameters.seed)
    bf16 = run.hyperparameters.precision is Precision.BF16
    choose_attention(model, cpu=ranks.device.type == "cpu", bf16=bf16)
    if run.activation_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    if path is None:
        return deep.start(model, run), checkpoint.Origin(passed_over=passed_over)
    with checkpoint.remedied():
        saved = checkpoint.opened(folder / path, ranks)
        deep.load_weights(model, saved)
        engine = deep.start(model, run)
        deep.restore(engine, saved)
    return engine, checkpoint.Origin(saved.state, saved.saved_at, passed_over)


def _measure(
    run: PretrainRun,
    ranks: Ranks,
    loop: Loop,
    datasets: list[data.Dataset],
    termination: Termination,
) -> ModelSummary:
    """The figures of a trained model. Raises Stopped, or PodFailure for weights without a loss."""
    held_out = data.ValidationData(run.shape.context, datasets)
    loss = validation_loss(
        loop.engine,
        held_out,
        ranks,
        end_token=data.end_token(run, datasets[0]),
        micro_batch=run.micro_batch,
        termination=termination,
    )
    if loss is not None and not math.isfinite(loss):
        raise PodFailure(
            "LossNotFinite",
            f"the loss on held-out text was {loss} after the last step; start a new run "
            "(spec.revision) with a lower spec.schedule.learningRate or a longer warmup",
            FailureClass.USER,
        )
    return ModelSummary(
        parameters=sum(math.prod(shape) for shape in deep.shapes(loop.engine).values()),
        tokens=run.steps * run.sequences_per_step * run.shape.context,
        steps=run.steps,
        train_loss=statistics.fmean(loop.losses),
        validation_loss=loss,
        unigram_entropy=held_out.unigram_entropy(),
        tokenizer_digest=datasets[0].tokenizer,
    )


def _export(
    run: PretrainRun,
    attempt: Place,
    dataset: data.Dataset,
    weights: dict[str, torch.Tensor],
    summary: ModelSummary,
) -> dict[str, Any]:
    artifact = export(
        attempt / ARTIFACT,
        weights=weights,
        shape=run.shape,
        tokenizer=dataset.folder / "tokenizer",
        run=run.digest,
        inputs=[source.lineage() for source in run.datasets],
        summary=summary,
    )
    return artifact.to_json()


def _stopped(run: PretrainRun, loop: Loop) -> Outcome:
    saved = loop.saved is not None
    return Outcome(
        outcome=OutcomeKind.STOPPED,
        reason="Terminated",
        message=f"stopped as asked after step {loop.step} of {run.steps}; the next attempt "
        + ("goes on from there" if saved else "begins anew"),
        step=loop.saved,
    )


def _succeeded(artifact: Artifact) -> Outcome:
    """The outcome of a finished run, its figures read from the artifact's manifest."""
    facts = storage.read_manifest(storage.place_of(artifact.uri))[0].facts
    summary = ModelSummary.model_validate(facts)
    return Outcome(
        outcome=OutcomeKind.SUCCEEDED, step=summary.steps, artifact=artifact, model=summary
    )


def _finished(folder: Place, run: PretrainRun) -> dict[str, Any] | None:
    """The artifact of any attempt of the run, as JSON; that of the first if there are more."""
    for attempt in sorted(storage.entries(folder), key=lambda one: natural(one.name)):
        if artifact := storage.finished(attempt / ARTIFACT, run.digest):
            return artifact.to_json()
    return None
