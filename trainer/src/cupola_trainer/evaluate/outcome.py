"""What the pod of an Evaluation says at its end, within the size of a termination message."""

from __future__ import annotations

import json

from cupola_api.common import Artifact
from cupola_api.evaluation import Score
from cupola_api.outcome import MAX_BYTES, FailureClass, Outcome, OutcomeKind
from cupola_api.run import EvaluateRun
from cupola_trainer import storage
from cupola_trainer.evaluate.results import rounded
from cupola_trainer.pod import PodFailure

SCORES = "scores.json"
"""The file of the artifact that holds all scores whole."""

_LEAST_DIGITS = 4

_MOST = MAX_BYTES - 64
"""Bytes; the rest is for when the work began."""


def _whole(score: Score) -> Score:
    return score


def _without_errors(score: Score) -> Score:
    return score.model_copy(update={"standard_error": None, "compared_standard_error": None})


def _without_chance(score: Score) -> Score:
    return _without_errors(score).model_copy(update={"chance": None})


def _least(score: Score) -> Score:
    short = {
        "value": rounded(score.value, _LEAST_DIGITS),
        "compared_to": rounded(score.compared_to, _LEAST_DIGITS),
        "samples": 0,
    }
    return _without_chance(score).model_copy(update=short)


def outcome_of(run: EvaluateRun, artifact: Artifact, scores: list[Score]) -> Outcome:
    """The outcome of a finished run, with as much of its scores as a termination message can hold.

    Where all of it is too long, standard errors go first, then chance, then the numbers of samples
    and all but four digits; the artifact keeps everything. Raises PodFailure if even that does not
    fit.
    """
    beside = f" beside {run.compare_to.name}" if run.compare_to else ""
    message = f"measured {run.model.name}{beside} on {len(run.tasks)} tasks"
    for form in (_whole, _without_errors, _without_chance, _least):
        outcome = Outcome(
            outcome=OutcomeKind.SUCCEEDED,
            message=message,
            artifact=artifact,
            scores=[form(score) for score in scores[:64]],
        )
        text = outcome.model_dump_json(by_alias=True, exclude_none=True)
        if len(scores) <= 64 and len(text.encode()) <= _MOST:
            return outcome
    raise PodFailure(
        "TooManyScores",
        f"{len(scores)} scores do not fit the {MAX_BYTES} bytes of a pod's last message; spread "
        "spec.tasks over two Evaluations",
        FailureClass.USER,
    )


def earlier(run: EvaluateRun) -> Outcome | None:
    """The outcome of an earlier attempt that made it to the end, if there is one."""
    for attempt in sorted(storage.entries(storage.place_of(run.folder)), key=str):
        if artifact := storage.finished(attempt / "artifact", run.digest):
            found = json.loads(storage.read(attempt / "artifact" / SCORES))["scores"]
            return outcome_of(run, artifact, [Score.model_validate(score) for score in found])
    return None
