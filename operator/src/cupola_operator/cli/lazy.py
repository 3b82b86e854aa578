"""A group of commands each of which is imported when it is run, so that `cupola --help` is fast."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "plan": "Say what it takes before anything runs: time, memory, money, energy, failures, data, loss.",
    "ladder": "Plan a few small trainings on your own data, and foretell the loss of a large one from them.",
    "run": "Build what the files ask for, on this machine, until all of it has ended.",
    "curate": "Curate Datasets on this machine, and say what was kept and what each rule dropped.",
    "get": "Show resources: what they are doing, what they cost, and why.",
    "suspend": "Stop a run, and hold no devices until it is resumed.",
    "resume": "Let a suspended run go on from what it saved.",
    "retry": "Try a run that has Failed again: its attempts are forgiven, what it saved is used.",
    "apply": "Create or change resources in a work directory, also while a cupola run works in it.",
    "delete": "Delete a resource and stop its pods; artifacts and checkpoints stay in the store.",
    "logs": "Print what the pods of a resource printed, of the newest revision.",
    "generate": "Let a finished model answer a prompt; the answer is printed as it comes.",
    "report": "Write a report: configuration, data, curves, attempts, scores, money, digests.",
    "cost": "Say what was spent: by resource, kind, namespace, cause and month; deleted ones too.",
    "release": "Take the finalizer cupola.dev/ledger off all resources, before the operator is uninstalled.",
    "operate": "Reconcile the resources of a cluster, until it is told to stop.",
}
"""Name -> first sentence of its help. The function `name` of the module `name` is the command."""


class LazyGroup(TyperGroup):
    """Lists COMMANDS without importing them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command that has a name and a help text, and no more; None if there is none."""
        text = COMMANDS.get(cmd_name)
        return TyperCommand(cmd_name, help=text) if text else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is to be run, whole."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else command, rest


def load(name: str) -> Any:
    """The command of that name."""
    module = importlib.import_module(f"cupola_operator.cli.{name}")
    alone = typer.Typer(add_completion=False)
    alone.command(name)(getattr(module, name))
    return typer.main.get_command(alone)
