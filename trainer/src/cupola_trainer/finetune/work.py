"""The pod of a FineTune: supervised tuning on prompts and answers, under torchrun or alone.

Writes `history.jsonl`, `checkpoints/` and `artifact/` in the attempt's folder and nowhere else. An
attempt goes on from the newest whole checkpoint of the run. With S3 it needs room below TMPDIR for
the base, the prompts and answers, a checkpoint, and the model.
"""

from __future__ import annotations

import math
import shutil
import warnings
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from cupola_api.artifact import seal
from cupola_api.common import Artifact
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind
from cupola_api.part import read_facts
from cupola_api.run import FineTuneRun
from cupola_api.training import ModelSummary
from cupola_trainer import hang, storage, timesheet
from cupola_trainer.distributed import Ranks, ranks_of
from cupola_trainer.finetune.settings import accumulation, steps
from cupola_trainer.history import History
from cupola_trainer.meter import Meter
from cupola_trainer.pairs import read_pairs
from cupola_trainer.pod import PodFailure, attempt
from cupola_trainer.storage import Place
from cupola_trainer.termination import Termination

VALIDATION_PAIRS = 2000
"""Held-out answers that the loss at the end is measured on, at most."""


def finetune(run: FineTuneRun) -> Outcome:
    """Tune what `run` says; see the module. Raises PodFailure."""
    disable_progress_bar()
    # The libraries call one another by old names.
    warnings.filterwarnings("ignore", ".* is deprecated", FutureWarning)
    torch.set_num_threads(run.world.threads)
    with ranks_of(run.world, run.output) as ranks:
        done = ranks.on_main(lambda: _finished(run))
        if done:
            return _succeeded(
                Artifact.model_validate(done[0]), ModelSummary.model_validate(done[1])
            )
        accumulation(run)
        hang.progress("the check of base and Dataset")
        tokenizer_digest = ranks.on_each(lambda: _check(run, main=ranks.main))[0]
        return _tune(run, ranks, tokenizer_digest)


def _finished(run: FineTuneRun) -> list[Any] | None:
    """Artifact and summary of an earlier attempt that made it to the end."""
    for earlier in sorted(storage.entries(storage.place_of(run.folder)), key=str):
        if artifact := storage.finished(earlier / "artifact", run.digest):
            return [artifact.to_json(), storage.read_manifest(earlier / "artifact")[0].facts]
    return None


def _inputs(run: FineTuneRun, *, main: bool) -> tuple[Path, Path]:
    """Base and dataset on this machine, checked; those used in place by rank 0, `main`, alone."""
    return (
        storage.open_input(run.base, check_here=main),
        storage.open_input(run.dataset, "pairs/", check_here=main),
    )


def _check(run: FineTuneRun, *, main: bool) -> str | None:
    """Check base and dataset, and that they fit; returns their tokenizer's digest."""
    folder, dataset = _inputs(run, main=main)
    base = read_facts(folder).get("tokenizerDigest")
    if not (dataset / "pairs").is_dir():
        raise PodFailure(
            "DatasetHasNoTask",
            f"Dataset {run.dataset.name} has no prompts and answers; write spec.task in it, with a "
            "new spec.revision",
            FailureClass.USER,
        )
    if read_facts(dataset).get("tokenizerDigest") != base:
        raise PodFailure(
            "TokenizerMismatch",
            f"Dataset {run.dataset.name} has another tokenizer than {run.base.kind} "
            f"{run.base.name}; set spec.tokenizer.dataset in it to a Dataset that the base was "
            "trained on, with a new spec.revision",
            FailureClass.USER,
        )
    return base


def _tune(run: FineTuneRun, ranks: Ranks, tokenizer_digest: str | None) -> Outcome:
    # Seconds to import, which a run that is finished or cannot start need not wait for.
    from cupola_trainer.finetune import artifact as models  # noqa: PLC0415
    from cupola_trainer.finetune import examples, resume, watch  # noqa: PLC0415
    from cupola_trainer.finetune.train import train  # noqa: PLC0415

    base, dataset = _inputs(run, main=False)
    folder = storage.place_of(run.folder)
    place = folder / attempt() / "artifact"
    hang.progress("the start from the newest checkpoint")
    begin = resume.start(run, ranks, folder, place.parent)
    model, tokenizer = models.load_base(base, run)
    hang.progress("the encoding of the examples")
    pairs = read_pairs(dataset, "train")
    kept, too_long = examples.encode(pairs, tokenizer, run.max_length)
    if not kept:
        raise PodFailure(
            "NothingToTrainOn",
            f"Dataset {run.dataset.name} has no example of at most {run.max_length} tokens "
            f"({too_long} are longer); set a larger spec.maxLength, or a base with more context",
            FailureClass.USER,
        )
    if ranks.main:
        print(f"{len(kept)} examples, {too_long} too long and left out", flush=True)
    with (
        Termination() as termination,
        Meter() if ranks.main else nullcontext() as meter,
        History(place.parent) if ranks.main else nullcontext() as history,
        storage.workplace(place.parent) as output,
    ):
        watcher = watch.Watch(begin.origin, meter, history)
        checkpoints = resume.Checkpoints(
            run, ranks, begin, termination=termination, watch=watcher, attempt=place.parent
        )
        trained = train(
            run,
            (model, tokenizer),
            kept,
            ranks=ranks,
            watch=watcher,
            checkpoints=checkpoints,
            output=output,
        )
    count = steps(run, len(kept))
    if checkpoints.stopped:
        return Outcome(
            outcome=OutcomeKind.STOPPED,
            reason="Terminated",
            message=f"stopped as asked after step {checkpoints.step} of {count}; the next attempt "
            "goes on from there",
            step=checkpoints.saved,
        )
    figures = ModelSummary(
        parameters=1,  # counted when it is saved
        tokens=watcher.tokens,
        steps=count,
        train_loss=rounded(watcher.loss),
        tokenizer_digest=tokenizer_digest,
    )
    hang.progress("the writing of the model")
    artifact, facts = ranks.on_main(
        lambda: _publish(run, place, trained, figures, ranks.device.type)
    )
    return _succeeded(
        Artifact.model_validate(artifact), ModelSummary.model_validate(facts), left_out=too_long
    )


def _publish(
    run: FineTuneRun,
    place: Place,
    trained: dict[str, torch.Tensor],
    figures: ModelSummary,
    device: str,
) -> list[Any]:
    """Save the model, measure what was saved, seal it; returns artifact and summary as JSON."""
    with storage.workplace(place) as folder:
        if folder.exists():  # left by a kill in a run by hand
            shutil.rmtree(folder)
        summary = _make(run, folder, trained, figures, device)
        return [storage.publish(folder, place).to_json(), summary.to_json()]


def _make(
    run: FineTuneRun,
    place: Path,
    trained: dict[str, torch.Tensor],
    figures: ModelSummary,
    device: str,
) -> ModelSummary:
    """Make the sealed artifact in a folder of this machine."""
    from cupola_trainer import generate, likelihood  # noqa: PLC0415
    from cupola_trainer.finetune import artifact as models  # noqa: PLC0415

    base, dataset = _inputs(run, main=False)
    parameters, changed = models.save(place, base, run, trained)
    torch.set_num_threads(run.world.threads * run.world.gpus_per_node)  # the other ranks wait
    model, tokenizer = generate.load(place, device=device)
    pairs = islice(read_pairs(dataset, "validation"), VALIDATION_PAIRS)
    held_out = [likelihood.answer(tokenizer, *pair) for pair in pairs]
    loss = entropy = None
    if held_out:
        hang.progress("the loss on held-out answers")
        with timesheet.validating():
            losses = likelihood.losses(model, held_out, lambda _: hang.progress())
        loss = sum(losses) / sum(s.scored for s in held_out)
        entropy = likelihood.unigram_entropy(held_out)
        if not math.isfinite(loss):
            raise PodFailure(
                "LossNotFinite",
                f"the tuned model has loss {loss} on held-out answers; set a lower "
                "spec.schedule.learningRate and a new spec.revision",
                FailureClass.USER,
            )
    summary = figures.model_copy(
        update={
            "parameters": parameters,
            "trainable_parameters": changed if changed != parameters else None,
            "validation_loss": rounded(loss),
            "unigram_entropy": rounded(entropy),
        }
    )
    seal(
        place,
        kind="Model",
        run=run.digest,
        inputs=[run.base.lineage(), run.dataset.lineage()],
        facts=summary.to_json(),
    )
    return summary


def _succeeded(artifact: Artifact, model: ModelSummary, *, left_out: int = 0) -> Outcome:
    message = f"tuned in {model.steps} steps on {model.tokens} tokens"
    if left_out:
        message += f"; {left_out} examples longer than spec.maxLength were left out"
    return Outcome(
        outcome=OutcomeKind.SUCCEEDED,
        message=message,
        step=model.steps,
        artifact=artifact,
        model=model,
    )


def rounded(value: float | None) -> float | None:
    """Six significant digits."""
    return None if value is None else float(f"{value:.6g}")
