"""Tune a model on prompts and answers: one rank of `python -m cupola_trainer finetune run.yaml`."""

from __future__ import annotations

import argparse
import os

from cupola_api.outcome import FailureClass, Outcome
from cupola_api.run import FineTuneRun, Run
from cupola_trainer.pod import PodFailure


def main(run: Run, options: argparse.Namespace) -> Outcome:
    """Tune a model; returns the same outcome on every rank. Raises PodFailure."""
    if not isinstance(run, FineTuneRun):
        raise PodFailure(
            "WrongRun", f"finetune needs a FineTuneRun, not a {run.kind}", FailureClass.USER
        )
    # Read by the libraries as they are imported: all that a run reads lies in storage, and the run
    # says what it computes on.
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if run.world.device == "Gpu" else "cpu")
    from cupola_trainer.finetune.work import finetune  # noqa: PLC0415  see above; slow to import

    return finetune(run)
