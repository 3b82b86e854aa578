"""`cupola release`: take the operator's finalizer off all resources, before it is uninstalled."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from cupola_operator.cli.operate import NAMESPACE
from cupola_operator.cluster import ClusterError
from cupola_operator.kube import release as releasing
from cupola_operator.kube.api import Api
from cupola_operator.kube.client import Client
from cupola_operator.kube.connection import NoCluster, configuration


def release(
    namespace: Annotated[
        list[str] | None,
        typer.Option(help="In this namespace, and no other; repeatable. In all by default."),
    ] = None,
) -> None:
    """Take the finalizer cupola.dev/ledger off all resources, before the operator is uninstalled.

    It takes the Lease of the operator first, so that no replica sets the finalizer again for two
    minutes. What runs goes on. A resource that is deleted from then on goes at once, and what it
    cost is not kept. The Lease is in the namespace POD_NAMESPACE (cupola-system by default). Exit
    code: 0 done, 1 something could not be done, 2 there is no cluster.
    """
    try:
        connection = configuration()
    except NoCluster as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from error
    api = Api(connection)
    problems = []
    try:
        releasing.take_lease(api, os.environ.get("POD_NAMESPACE") or NAMESPACE)
    except ClusterError as error:
        problems.append(str(error))
    done, others = releasing.release(Client(api), namespace or [])
    print(f"{done} resources have no finalizer of Cupola any more.")
    for problem in (*problems, *others):
        print(problem, file=sys.stderr)
    if problems or others:
        raise typer.Exit(1)
