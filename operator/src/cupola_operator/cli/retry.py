"""`cupola retry`: try a failed run again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cupola_operator.cli import ask
from cupola_operator.cli import workdir as work
from cupola_operator.local.change import Retry


def retry(
    name: Annotated[str, ask.Resource],
    *,
    namespace: work.Namespace = "default",
    workdir: work.Option = work.DEFAULT,
) -> None:
    """Try a run that has Failed again: its attempts are forgiven, what it saved is used.

    It is the same run, for when the cause lay outside of it: a disk was full, data was missing. If
    its spec is to change, raise spec.revision instead. On a cluster:

    kubectl annotate KIND NAME --overwrite cupola.dev/retry="$(date)"
    """
    with work.sentences():
        token = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        ask.ask(workdir, Retry(**ask.find(workdir, name, namespace), token=token))
