"""`cupola suspend`: stop a run, until `cupola resume`."""

from __future__ import annotations

from typing import Annotated

from cupola_operator.cli import ask
from cupola_operator.cli import workdir as work
from cupola_operator.local.change import Suspend


def suspend(
    name: Annotated[str, ask.Resource],
    *,
    namespace: work.Namespace = "default",
    workdir: work.Option = work.DEFAULT,
) -> None:
    """Stop a run, and hold no devices until it is resumed.

    A PretrainJob or FineTune saves a checkpoint first; of a Dataset the finished stages stay; an
    Evaluation will begin anew.

    It sets spec.suspend. A `cupola run` of a file that does not name spec.suspend leaves it so, as
    `kubectl apply` does; one that names it is right. On a cluster:

    kubectl patch KIND NAME --type merge -p '{"spec":{"suspend":true}}'
    """
    with work.sentences():
        ask.ask(workdir, Suspend(**ask.find(workdir, name, namespace)))
