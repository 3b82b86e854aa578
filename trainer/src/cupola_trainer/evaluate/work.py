"""The pod of an Evaluation: check and load everything, measure each model, seal the scores.

Inputs are checked before anything is measured, so that what is wrong is said in the first seconds.
The models are in memory one after the other. The artifact holds `scores.json` and, of every task,
some of what was measured in `samples.jsonl`. A pod that dies leaves nothing: the next attempt
measures again. Models and data that lie in S3 take room below TMPDIR for as long as it runs.
"""

from __future__ import annotations

import math
import tempfile
from functools import partial
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from cupola_api import metrics
from cupola_api.artifact import canonical, seal, write_atomic
from cupola_api.common import Artifact
from cupola_api.outcome import FailureClass, Outcome
from cupola_api.run import EvaluateRun, Input
from cupola_trainer import generate, storage, timesheet
from cupola_trainer.evaluate.outcome import SCORES, outcome_of
from cupola_trainer.evaluate.results import SAMPLES, Measured, Result, Subject, lines, scores
from cupola_trainer.evaluate.tasks import Prepared, Report, prepare
from cupola_trainer.failures import failure_of, is_memory
from cupola_trainer.meter import Meter
from cupola_trainer.pod import PodFailure, attempt
from cupola_trainer.storage import Place


def evaluate(run: EvaluateRun) -> Outcome:
    """Measure what `run` says; see the module. Raises PodFailure."""
    place = storage.place_of(run.folder) / attempt() / "artifact"
    disable_progress_bar()
    torch.set_num_threads(run.threads)
    sources = [run.model, *([run.compare_to] if run.compare_to else [])]
    models = [storage.open_input(source) for source in sources]
    with tempfile.TemporaryDirectory() as cache, Meter() as meter:
        tasks = {t.task.name: prepare(t, run, models, Path(cache)) for t in run.tasks}
        _can_be_said(run, place, tasks)

        def report(share: float) -> None:
            meter.set({metrics.PROGRESS: share})

        results = [
            _measured(source, model, tasks, run.device, partial(_part, report, index, len(models)))
            for index, (source, model) in enumerate(zip(sources, models, strict=True))
        ]
    found = [
        score
        for name in tasks
        for score in scores(name, results[0][name], results[1][name] if run.compare_to else None)
    ]
    samples = [
        {"task": name, "model": source.name, **sample}
        for source, result in zip(sources, results, strict=True)
        for name in tasks
        for sample in result[name].samples[:SAMPLES]
    ]
    lineage = [*(source.lineage() for source in sources), *(task.data for task in tasks.values())]
    inputs = list({entry.digest: entry for entry in lineage}.values())
    with storage.workplace(place) as folder:
        write_atomic(folder / SCORES, canonical({"scores": [s.to_json() for s in found]}))
        write_atomic(folder / "samples.jsonl", lines(samples))
        seal(folder, kind="Scores", run=run.digest, inputs=inputs)
        artifact = storage.publish(folder, place)
    return outcome_of(run, artifact, found)


def _measured(
    source: Input, folder: Path, tasks: dict[str, Prepared], device: str, report: Report
) -> dict[str, Result]:
    try:
        return _measure(source, folder, tasks, device, report)
    except (RuntimeError, MemoryError) as error:
        if is_memory(error):
            raise PodFailure(
                "OutOfMemory",
                f"{source.kind} {source.name} does not fit the memory of the pod; choose a pool "
                "with more in spec.pools",
                FailureClass.OUT_OF_MEMORY,
            ) from error
        raise


def _measure(
    source: Input, folder: Path, tasks: dict[str, Prepared], device: str, report: Report
) -> dict[str, Result]:
    """All tasks of one model."""
    try:
        subject = Subject(*generate.load(folder, device="cuda" if device == "Gpu" else "cpu"))
    except (OSError, ValueError) as error:
        raise failure_of(error) or PodFailure(
            "ModelUnreadable",
            f"the model of {source.kind} {source.name} cannot be loaded: {error}"[:400],
            FailureClass.DATA,
        ) from error
    timesheet.works()
    found = {}
    for index, (name, task) in enumerate(tasks.items()):
        found[name] = task.measure(subject, partial(_part, report, index, len(tasks)))
        for measured in found[name].measured:
            if not math.isfinite(measured.value):
                raise PodFailure(
                    "ScoreNotFinite",
                    f"{source.kind} {source.name} has {measured.metric} {measured.value} on task "
                    f"{name}: its weights are not finite; train it again at a lower learning rate",
                    FailureClass.USER,
                )
            print(f"{source.name} {name} {measured.metric} {measured.value:.6g}", flush=True)
        report((index + 1) / len(tasks))
    return found


def _part(report: Report, index: int, count: int, share: float) -> None:
    """Report `share` of part `index` of `count` equal parts."""
    report((index + share) / count)


def _can_be_said(run: EvaluateRun, place: Place, tasks: dict[str, Prepared]) -> None:
    """Refuse, before anything is measured, more scores than a termination message can hold."""
    longest = -1.23456e-10
    found = []
    for name, task in tasks.items():
        result = Result([Measured(m, longest, 10**5, longest, longest) for m in task.metrics], [])
        found += scores(name, result, result if run.compare_to else None)
    artifact = Artifact(uri=storage.uri_of(place), digest=f"sha256:{'0' * 64}", bytes=10**9)
    outcome_of(run, artifact, found)
