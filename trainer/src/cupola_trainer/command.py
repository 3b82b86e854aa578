"""One pod's work by its command line, with a termination message at its end.

Exit codes are for people (the operator reads the message): 0 done, 1 failed, 2 wrong input,
143 stopped by SIGTERM.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from pathlib import Path

import yaml
from pydantic import ValidationError

from cupola_api import errors
from cupola_api import run as contract
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind
from cupola_trainer import failures, termination, timesheet
from cupola_trainer.pod import PodFailure, say

VERBS = {
    "curate": (
        "cupola_trainer.curate",
        "generate, list, clean, dedup or tokenise a part of a Dataset, or publish it",
    ),
    "pretrain": ("cupola_trainer.pretrain", "train a model from scratch (under torchrun)"),
    "finetune": ("cupola_trainer.finetune", "tune a model on prompts and answers (under torchrun)"),
    "evaluate": ("cupola_trainer.evaluate", "measure a model"),
}


_MEMORY = {
    "curate": "use a pool with more memory for each device (memoryPerGpu in the settings)",
    "pretrain": failures.TRAINING,
    "finetune": failures.TRAINING,
    "evaluate": "choose a pool with more memory in spec.pools",
}
"""What to do about too little memory, by verb."""


def _work(run: contract.Run, options: argparse.Namespace) -> Outcome:
    """The verb's outcome; whatever it raises becomes one."""
    try:
        outcome: Outcome = importlib.import_module(VERBS[options.verb][0]).main(run, options)
    except Exception as error:  # noqa: BLE001  the last resort: an unknown failure is reported too
        failure = failures.failure_of(error, remedy=_MEMORY[options.verb], store=run.output)
        if failure is None:
            traceback.print_exc()
            failure = PodFailure(
                "Unexpected", f"{type(error).__name__}: {error}"[:400], FailureClass.UNKNOWN
            )
        return failure.outcome()
    return outcome


def _timed(outcome: Outcome) -> Outcome:
    """The outcome with where the time of a training went, or when the work of a Job began."""
    finished = outcome.outcome is OutcomeKind.SUCCEEDED
    timing = timesheet.said(finished=finished)
    update = {"timing": timing, "first_work_at": timesheet.first_work()}
    return outcome.model_copy(update=update)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, do the verb's work, say how it ended; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cupola_trainer", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, (_, text) in VERBS.items():
        command = verbs.add_parser(verb, help=text, description=text)
        command.add_argument("run", type=Path, help="the resolved run, run.yaml")
        if verb == "curate":
            command.add_argument(
                "--stage",
                required=True,
                choices=["generate", "list", "clean", "dedup", "tokenise", "publish"],
            )
    options = parser.parse_args(arguments)
    try:
        run = contract.load(options.run)
    except OSError as error:
        print(f"{options.run} cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    except yaml.YAMLError as error:
        print(f"{options.run} is not YAML: {error}", file=sys.stderr)
        return 2
    except ValidationError as error:
        for sentence in errors.sentences(error, contract.PretrainRun):
            print(f"{options.run}: {sentence}", file=sys.stderr)
        return 2
    outcome = _timed(_work(run, options))
    termination.leave_to_work()  # what is said now is the last word
    first_of_pod = os.environ.get("LOCAL_RANK", "0") == "0"
    if first_of_pod or outcome.outcome is OutcomeKind.FAILED:
        say(outcome)
    return {OutcomeKind.SUCCEEDED: 0, OutcomeKind.FAILED: 1, OutcomeKind.STOPPED: 143}[
        outcome.outcome
    ]
