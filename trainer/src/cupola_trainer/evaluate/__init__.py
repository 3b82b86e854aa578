"""Measure a model, or two beside each other: `python -m cupola_trainer evaluate run.yaml`."""

from __future__ import annotations

import argparse
import os

from cupola_api.outcome import FailureClass, Outcome
from cupola_api.run import EvaluateRun, Run
from cupola_trainer.evaluate.outcome import earlier
from cupola_trainer.pod import PodFailure


def main(run: Run, options: argparse.Namespace) -> Outcome:
    """Measure what `run` says, or find it measured. Raises PodFailure."""
    if not isinstance(run, EvaluateRun):
        raise PodFailure(
            "WrongRun", f"evaluate needs an EvaluateRun, not a {run.kind}", FailureClass.USER
        )
    if done := earlier(run):
        return done
    # Read by the libraries as they are imported: all that is measured lies in storage.
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    from cupola_trainer.evaluate.work import evaluate  # noqa: PLC0415  see above; slow to import

    return evaluate(run)
