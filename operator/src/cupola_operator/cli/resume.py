"""`cupola resume`: let a suspended run go on."""

from __future__ import annotations

from typing import Annotated

from cupola_operator.cli import ask
from cupola_operator.cli import workdir as work
from cupola_operator.local.change import Resume


def resume(
    name: Annotated[str, ask.Resource],
    *,
    namespace: work.Namespace = "default",
    workdir: work.Option = work.DEFAULT,
) -> None:
    """Let a suspended run go on from what it saved.

    It takes spec.suspend back. What its budget holds goes on when spec.budget.maxCost is raised in
    its file, and that is applied. On a cluster:

    kubectl patch KIND NAME --type merge -p '{"spec":{"suspend":false}}'
    """
    with work.sentences():
        ask.ask(workdir, Resume(**ask.find(workdir, name, namespace)))
