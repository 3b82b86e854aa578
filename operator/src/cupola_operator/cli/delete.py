"""`cupola delete`: delete a resource; what it made stays."""

from __future__ import annotations

from typing import Annotated

from cupola_operator.cli import ask
from cupola_operator.cli import workdir as work
from cupola_operator.local.change import Delete


def delete(
    name: Annotated[str, ask.Resource],
    *,
    namespace: work.Namespace = "default",
    workdir: work.Option = work.DEFAULT,
) -> None:
    """Delete a resource and stop its pods; artifacts and checkpoints stay in the store.

    Its status is gone with it, and its story; what it cost stays, see cupola cost. Applied again, it
    goes on from its last checkpoint, or ends at once with the artifact that is there. On a cluster:

    kubectl delete KIND NAME
    """
    with work.sentences():
        ask.ask(workdir, Delete(**ask.find(workdir, name, namespace)))
