"""`cupola generate`: ask a model that a PretrainJob or a FineTune made."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cupola_operator.cli import workdir as work
from cupola_operator.cluster import Object, key_of
from cupola_operator.resources import parse_status

_MODELS = ("FineTune", "PretrainJob")
"""Kinds that make a model; of two with one name the first is meant."""

_INTERRUPTED = 130

_PROGRAM = "cupola_trainer.generate"


def generate(
    name: Annotated[
        str, typer.Argument(metavar="[KIND/]NAME", help="A FineTune or a PretrainJob.")
    ],
    prompt: Annotated[str, typer.Argument(help="What to answer.")],
    *,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, max=65_536, help="The longest answer, in tokens.")
    ] = 256,
    temperature: Annotated[
        float, typer.Option(min=0, max=10, help="0: the likeliest answer; higher: more varied.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of sampling.")] = 0,
    namespace: work.Namespace = "default",
    workdir: work.Option = work.DEFAULT,
) -> None:
    """Let a finished model answer a prompt; the answer is printed as it comes."""
    with work.sentences():
        resource = work.Workdir(workdir).candidates(name, namespace, _MODELS)[0]
        folder = model_folder(resource)
        if importlib.util.find_spec(_PROGRAM.partition(".")[0]) is None:
            raise work.NotThere(
                "models answer by cupola-trainer, which is not installed; install it"
            )
        typer.echo(f"{key_of(resource)} answers", err=True)
        raise typer.Exit(
            _run(
                [
                    *(sys.executable, "-m", _PROGRAM),
                    *("--model", str(folder), "--max-new-tokens", str(max_new_tokens)),
                    *("--temperature", str(temperature), "--seed", str(seed)),
                    *("--", prompt),
                ]
            )
        )


def model_folder(resource: Object) -> Path:
    """The folder of a resource's model. Raises NotThere if it has none on this machine."""
    key = key_of(resource)
    status = parse_status(key.kind, resource.get("status"))
    if status.artifact is None:
        ready = status.condition("Ready")
        why = f": {ready.message}" if ready and ready.message else ""
        raise work.NotThere(f"{key} has no model yet, it is {status.phase}{why}")
    return work.local_folder(status.artifact.uri)


def _run(command: list[str]) -> int:
    """Run a program with this terminal; its exit code, as a shell would say it."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    # a session of its own: an interrupt ends it here, not with a traceback there
    with subprocess.Popen(command, env=os.environ | offline, start_new_session=True) as child:
        try:
            code = child.wait()
        except KeyboardInterrupt:
            child.kill()
            return _INTERRUPTED
    return code if code >= 0 else 128 - code
