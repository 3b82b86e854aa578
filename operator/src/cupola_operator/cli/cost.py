"""`cupola cost`: what was spent, by resources that live and by those that are deleted."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from cupola_api.kinds import KINDS
from cupola_operator.cli import costtable
from cupola_operator.cli import workdir as work
from cupola_operator.cli.costtable import By
from cupola_operator.cluster import ClusterError, Object
from cupola_operator.cost import book, focus
from cupola_operator.cost.charges import Charge, charges


class Output(StrEnum):
    """How what was spent is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


def cost(
    *,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Of this namespace; of all by default.")
    ] = None,
    month: Annotated[
        str | None, typer.Option(help="In this month by UTC, such as 2026-11; in all by default.")
    ] = None,
    by: Annotated[
        list[By] | None,
        typer.Option(help="What lines of the table are added up by; repeatable."),
    ] = None,
    output: Annotated[
        Output,
        typer.Option(
            "--output", "-o", help="csv has the columns of FOCUS 1.0, a row a run, month and cause."
        ),
    ] = Output.TABLE,
    account: Annotated[
        str, typer.Option(help="BillingAccountId of the csv: who is charged for it all.")
    ] = "cupola",
    cluster: Annotated[
        bool,
        typer.Option("--cluster", help="Of the cluster of KUBECONFIG, not of a work directory."),
    ] = False,
    workdir: work.Option = work.DEFAULT,
) -> None:
    """Say what was spent: by resource, kind, namespace, cause and month; deleted ones too.

    Resources that live are read from their status, those that were deleted and revisions that were
    replaced from the ledgers, the ConfigMaps cupola-ledger-YYYY-MM of their namespaces. Money of
    different currencies is never added up; a run without a price has device hours only.
    """
    with work.sentences():
        if month and not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", month):
            raise work.NotThere(f"--month: write a month such as 2026-11, not {month}")
        values, ledgers = _cluster(namespace) if cluster else _workdir(workdir, namespace)
    found = [
        one for one in charges(values, ledgers, datetime.now(UTC)) if month in (None, one.month)
    ]
    if output is Output.CSV:
        sys.stdout.write(focus.table(found, account=account))
        if free := sum(one.entry.cost is None for one in found):
            print(f"{free} without a price are left out", file=sys.stderr)
    elif output is Output.TABLE:
        if found:
            print(costtable.table(found, by or [By.MONTH, By.NAMESPACE, By.RESOURCE]))
        else:
            print("nothing was spent", file=sys.stderr)
    else:
        print(_document(found, output))


def _workdir(folder: Path, namespace: str | None) -> tuple[list[Object], list[Object]]:
    """The resources and ledgers of a work directory. Raises NotThere, MirrorBroken."""
    there = work.Workdir(folder)
    values = [value for kind in KINDS for value in there.objects(kind, namespace)]
    return values, there.objects("ConfigMap", namespace, book.SELECTOR)


def _cluster(namespace: str | None) -> tuple[list[Object], list[Object]]:
    """The resources and ledgers of a cluster. Raises NotThere with what the cluster says."""
    from cupola_operator.kube.api import Api  # noqa: PLC0415 - half a second that the others need not wait
    from cupola_operator.kube.client import Client  # noqa: PLC0415
    from cupola_operator.kube.connection import NoCluster, configuration  # noqa: PLC0415

    try:
        client = Client(Api(configuration()))
        values = [value for kind in KINDS for value in client.find(kind, namespace or "", {})]
        return values, client.find("ConfigMap", namespace or "", book.SELECTOR)
    except (NoCluster, ClusterError) as error:
        raise work.NotThere(str(error)) from error


def _document(found: Sequence[Charge], output: Output) -> str:
    """Every entry, and the money of all by currency, in JSON or YAML."""
    totals: dict[str, Decimal] = {}
    for one in found:
        if one.entry.cost is not None and one.entry.currency:
            before = totals.get(one.entry.currency, Decimal(0))
            totals[one.entry.currency] = before + Decimal(one.entry.cost)
    value: dict[str, Any] = {
        "entries": [
            {"namespace": one.namespace, "month": one.month, **one.entry.to_json()} for one in found
        ],
        "totals": {currency: f"{total:f}" for currency, total in sorted(totals.items())},
    }
    if output is Output.JSON:
        return json.dumps(value, indent=2, ensure_ascii=False)
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100).rstrip("\n")
