"""`cupola operate`: reconcile the resources of a cluster, until it is told to stop."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from pathlib import Path
from typing import Annotated

import typer

from cupola_operator.cli import load
from cupola_operator.interruption import Interruption
from cupola_operator.kube import journal
from cupola_operator.kube.connection import NoCluster, configuration
from cupola_operator.kube.journal import LogFormat
from cupola_operator.kube.shell import Options, Shell

_INVALID = 2
NAMESPACE = "cupola-system"


def operate(
    settings: Annotated[Path, typer.Option(help="The installation's settings, a YAML file.")],
    *,
    namespace: Annotated[
        list[str] | None,
        typer.Option(help="Serve this namespace, and no other; repeatable. All by default."),
    ] = None,
    listen: Annotated[
        str, typer.Option(help="Address of /metrics, /healthz and /readyz.")
    ] = "0.0.0.0:8080",
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Resources that are worked on at a time.")
    ] = 4,
    progress_every: Annotated[
        float,
        typer.Option(min=1, max=3600, help="Seconds between two looks at a run's progress."),
    ] = 60.0,
    log_format: Annotated[LogFormat, typer.Option(help="Lines for a person, or JSON.")] = (
        LogFormat.TEXT
    ),
) -> None:
    """Reconcile the resources of a cluster, until it is told to stop.

    It runs in a pod, or anywhere with KUBECONFIG. Of several replicas the one that holds the Lease
    cupola-operator acts; the Lease is in the namespace POD_NAMESPACE (cupola-system by default).
    SIGTERM: what is worked on is finished and the Lease given back, within 25 seconds. Exit code: 0
    stopped by a signal, 2 the settings or the connection are not valid.
    """
    journal.configure(log_format)
    try:
        host, port = _address(listen)
        chosen = load.settings(settings)
        if chosen.is_local:
            raise ValueError(
                f"{settings}: store {chosen.store} is a folder of one machine; on a cluster write "
                "s3://bucket/prefix or pvc://claim/path"
            )
        connection = configuration()
    except load.InputInvalid as error:
        _refuse(error.sentences)
    except (NoCluster, ValueError) as error:
        _refuse([str(error)])
    options = Options(
        namespaces=tuple(dict.fromkeys(namespace or ())),
        own_namespace=os.environ.get("POD_NAMESPACE") or NAMESPACE,
        identity=os.environ.get("POD_NAME") or f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}",
        host=host,
        port=port,
        workers=workers,
        progress_every=progress_every,
    )
    interruption = Interruption()
    try:
        with interruption.caught():
            Shell(connection, chosen, options).run(interruption.asked)
    except OSError as error:
        _refuse([f"--listen {listen}: {error.strerror or error}; name another address"])


def _address(text: str) -> tuple[str, int]:
    """Host and port. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not int(port) < 1 << 16:
        raise ValueError(f"--listen: write HOST:PORT, such as 0.0.0.0:8080, not {text}")
    return host.strip("[]"), int(port)


def _refuse(sentences: list[str]) -> None:
    """Say what is wrong and end with exit code 2."""
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    raise typer.Exit(_INVALID)
