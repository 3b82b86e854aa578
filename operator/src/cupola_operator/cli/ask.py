"""How the commands that change something reach a work directory, whether a `cupola run` holds it or not."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import typer

from cupola_operator.cli import workdir as work
from cupola_operator.cluster import Object, key_of
from cupola_operator.local import change, lock, requests
from cupola_operator.local.change import Change
from cupola_operator.local.requests import Answer
from cupola_operator.local.store import Store

PATIENCE = 10.0
"""Seconds that a `cupola run` gets to answer."""

_POLL_SECONDS = 0.1

Resource = typer.Argument(metavar="[KIND/]NAME", help="The resource.")


def find(workdir: Path, name: str, namespace: str) -> dict[str, str]:
    """Identity of the resource that a person named, as fields of a change. Raises NotThere."""
    value: Object = work.Workdir(workdir).resolve(name, namespace)
    key = key_of(value)
    return {
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "uid": str(value["metadata"]["uid"]),
    }


def ask(workdir: Path, asked: Change) -> None:
    """Have a change done and print what happens next; exit code 1 if it was not done."""
    try:
        found = _answer(workdir, asked)
    except lock.WorkdirUnusable as error:
        found = Answer(done=False, sentences=[str(error)])
    for sentence in found.sentences:
        print(sentence, file=sys.stdout if found.done else sys.stderr)
    if not found.done:
        raise typer.Exit(1)


def _answer(workdir: Path, asked: Change) -> Answer:
    """What came of a change. Raises MirrorBroken, lock.WorkdirUnusable, OSError."""
    request = requests.put(workdir, asked)
    end = time.monotonic() + PATIENCE
    holder = ""
    try:
        while (found := requests.answer(request)) is None and time.monotonic() < end:
            try:
                with lock.hold(workdir):
                    perform = partial(change.perform, Store(workdir), live=False)
                    requests.settle(workdir, perform)
            except lock.WorkdirBusy as busy:
                holder = busy.holder
                time.sleep(_POLL_SECONDS)
    except BaseException:
        requests.withdraw(request)
        raise
    return found or _silence(workdir, request, holder)


def _silence(workdir: Path, request: Path, holder: str) -> Answer:
    who = f"the cupola run that holds {workdir} (pid {holder})"
    if requests.withdraw(request):
        said = f"{who} does not answer, perhaps because it is stopping; nothing was changed"
    else:
        said = f"{who} took the request and has not answered yet; look with cupola get"
    return Answer(done=False, sentences=[said])
