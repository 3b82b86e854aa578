"""`cupola run`: reconcile resources on this machine until all of them have ended."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from cupola_api.common import Resource
from cupola_operator.cli import advice, load, table
from cupola_operator.cli import workdir as work
from cupola_operator.cluster import Key, Object
from cupola_operator.interruption import Interruption
from cupola_operator.local import lock, shell
from cupola_operator.local.mirror import MirrorBroken
from cupola_operator.local.processes import ProcessStuck

_INVALID = 2
_MOST_SLOTS = 1024
_LOCK_SECONDS = 2.0
"""How long a command that changes something may hold the work directory."""

_LOG_WIDTH = 160
"""Columns of the results where there is no terminal that says its own."""


def run(
    file: Annotated[
        list[Path],
        typer.Option("--file", "-f", help="A YAML file or a folder of them; repeatable."),
    ],
    *,
    workdir: work.Option = work.DEFAULT,
    slots: Annotated[
        int | None,
        typer.Option(help="Devices that run at a time; by default the cores, at least 2."),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="Settings of the installation instead of the built-in ones.")
    ] = None,
) -> None:
    """Build what the files ask for, on this machine, until all of it has ended.

    Run it again to go on after an interruption. Exit code: 0 all succeeded, 1 something failed, is
    suspended or was deleted, 2 the input is not valid (then nothing was started), 130 or 143
    interrupted.

    Meanwhile other commands change what it works on: cupola suspend, resume, retry, apply, delete.
    What was suspended by cupola suspend stays so when the files are run again, unless they name
    spec.suspend: as with kubectl apply, a file is right about what it names, and about that only.
    """
    if sys.platform != "linux":
        _refuse(["cupola run needs Linux; use it in a container or a virtual machine"])
    if slots is not None and not 1 <= slots <= _MOST_SLOTS:
        _refuse([f"--slots: must be 1 to {_MOST_SLOTS}, not {slots}"])
    workdir = workdir.absolute()
    store = None if settings else (workdir / "store").as_uri()
    try:
        manifests = load.read(file)
        chosen = load.settings(settings or shell.SETTINGS, store=store)
    except load.InputInvalid as error:
        _refuse(error.sentences)
    try:
        with lock.hold(workdir, patience=_LOCK_SECONDS):
            opened = shell.Shell(workdir, chosen, slots=slots or shell.default_slots())
            places = {id(m.resource): f"{m.path}:{m.line} {_name(m.resource)}" for m in manifests}
            resources = [manifest.resource for manifest in manifests]
            wrong = [f"{places[id(one)]}: {said}" for one, said in opened.refusals(resources)]
            if wrong:
                _refuse(wrong)
            code = _run(opened, resources)
    except (lock.WorkdirUnusable, MirrorBroken, ProcessStuck) as error:
        _refuse([str(error)])
    except BrokenPipeError:
        # Whoever read the output is gone; the pods are stopped. Python would complain once more
        # when it flushes standard output at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(128 + signal.SIGPIPE) from None
    except OSError as error:
        _refuse(
            [f"{workdir} cannot be used: {error.strerror or error}; name another with --workdir"]
        )
    raise typer.Exit(code)


def _run(opened: shell.Shell, resources: list[Resource]) -> int:
    """Run to the end, showing how it goes; returns the exit code."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)
    interruption = Interruption()
    last: list[Object] = []
    with ExitStack() as stack:
        stack.enter_context(interruption.caught())
        view = _Terminal(stack, console) if console.is_terminal else _Log()

        def show(objects: list[Object]) -> None:
            last[:] = objects
            view.show(objects)
            if interruption.asked.is_set():
                view.stopping()

        code = opened.run(resources, interruption, show)
    console.print(table.final(last))
    if interruption.asked.is_set():
        console.print("Stopped; everything is kept. To go on, run the same command again.")
    else:
        given = [(one.kind, one.metadata.namespace, one.metadata.name) for one in resources]
        for sentence in advice.after(last, [Key(*key) for key in given]):
            console.print(Text(sentence), soft_wrap=True)
    return code


class _Terminal:
    """A table that changes in place."""

    def __init__(self, stack: ExitStack, console: Console) -> None:
        self._live = stack.enter_context(Live(console=console, auto_refresh=False, transient=True))
        self._said = False

    def show(self, objects: list[Object]) -> None:
        """Draw the table anew."""
        self._live.update(table.live(table.rows(objects, datetime.now(UTC))), refresh=True)

    def stopping(self) -> None:
        """Say, once, that pods are being stopped."""
        if not self._said:
            self._said = True
            self._live.console.print(_STOPPING)


class _Log:
    """Lines, for a file or a pipe."""

    def __init__(self) -> None:
        self._journal = table.Journal()
        self._said = False

    def show(self, objects: list[Object]) -> None:
        """Print what is new."""
        now = datetime.now(UTC)
        for line in self._journal.lines(table.rows(objects, now), now):
            print(line, flush=True)

    def stopping(self) -> None:
        """Say, once, that pods are being stopped."""
        if not self._said:
            self._said = True
            print(_STOPPING, flush=True)


_STOPPING = "Stopping: pods save their work; interrupt again to kill them."


def _name(resource: Resource) -> str:
    return f"{resource.kind}/{resource.metadata.name}"


def _refuse(sentences: list[str]) -> None:
    """Say what is wrong and end with exit code 2."""
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    raise typer.Exit(_INVALID)
