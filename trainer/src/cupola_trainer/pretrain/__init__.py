"""Train a model from scratch: one rank of `python -m cupola_trainer pretrain run.yaml`."""

from __future__ import annotations

import argparse
import os

from cupola_api.outcome import FailureClass, Outcome
from cupola_api.run import PretrainRun, Run
from cupola_trainer.pod import PodFailure


def main(run: Run, options: argparse.Namespace) -> Outcome:
    """Train, or go on training; returns the same outcome on every rank. Raises PodFailure."""
    if not isinstance(run, PretrainRun):
        raise PodFailure(
            "WrongRun", f"pretrain needs a PretrainRun, not a {run.kind}", FailureClass.USER
        )
    # DeepSpeed looks for accelerators as it is imported; the run says which. Nothing is compiled
    # here, but DeepSpeed would load the compiler, for a second or more.
    os.environ.setdefault("DS_ACCELERATOR", "cuda" if run.world.device == "Gpu" else "cpu")
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # cuBLAS gives the same bits each time
    from cupola_trainer.pretrain.job import pretrain  # noqa: PLC0415  see above; also slow to import

    return pretrain(run)
