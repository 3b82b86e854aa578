from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cupola_api import API_VERSION
from cupola_operator.cli import app
from cupola_operator.cluster import Key, key_of
from cupola_operator.cost.book import entered
from cupola_operator.cost.entries import Entry
from cupola_operator.local.store import Store


def _run(work: Path | str, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["cost", "--workdir", str(work), *arguments])


def _resource(store: Store, name: str, *, namespace: str = "default", **attempt: Any) -> Key:
    value = {
        "apiVersion": API_VERSION,
        "kind": "Dataset",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"sources": [{"name": "a", "uri": "store:///a", "format": "Jsonl"}]},
    }
    made = store.create(value)
    known = {
        "number": 1,
        "name": "a1",
        "startedAt": "2026-01-31T23:00:00Z",
        "endedAt": "2026-02-01T01:00:00Z",
        "gpuSeconds": "7200",
        "cost": "4",
        "costs": {"productive": "3", "lostWork": "1"},
        "causes": {"productive": "5400", "lostWork": "1800"},
        "outcome": "Failed",
    }
    status = {
        "phase": "Failed",
        "run": {"revision": 1},
        "attempts": [{k: v for k, v in {**known, **attempt}.items() if v is not None}],
        "cost": {"currency": "USD", "accrued": "4", "gpuHours": "2", "energyKwh": "0"},
    }
    if attempt.get("cost", "4") is None:
        status["cost"] = {"gpuHours": "2", "energyKwh": "0"}
    key = key_of(made)
    store.patch_status(key, status, made["metadata"]["resourceVersion"])
    return key


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    store = Store(folder)
    _resource(store, "docs")
    _resource(store, "other", namespace="team", cost=None, costs=None)
    gone = Entry(
        kind="Dataset",
        name="gone",
        uid="u9",
        revision=3,
        currency="USD",
        cost="0.5",
        gpu_seconds="3600",
        closed="2026-01-02T00:00:00Z",
        estimated=True,
    )
    ledger = entered(None, "team", "2026-01", gone)
    assert ledger is not None
    store.create(ledger)
    return folder


def test_the_table_has_what_lives_and_what_is_deleted(work: Path) -> None:
    found = _run(work)
    assert found.exit_code == 0, found.output
    assert found.stdout.splitlines() == [
        "MONTH     NAMESPACE   RESOURCE        COST       WASTED   CURRENCY   GPU-HOURS   STATE",
        "2026-01   default     Dataset/docs    2.00       0.50     USD        1.00        live",
        "2026-01   team        Dataset/gone    0.50       0.00     USD        1.00        closed, estimated",
        "2026-01   team        Dataset/other   no price                       1.00        live",
        "2026-02   default     Dataset/docs    2.00       0.50     USD        1.00        live",
        "2026-02   team        Dataset/other   no price                       1.00        live",
        "total                                 no price                       2.00        live",
        "total                                 4.50       1.00     USD        3.00        live, estimated",
    ]


def test_lines_are_added_up_by_what_is_asked_for(work: Path) -> None:
    found = _run(work, "--by", "cause", "-n", "default")
    lines = [line.split("   ")[0].strip() for line in found.stdout.splitlines()]
    assert lines == ["CAUSE", "productive work", "work that was lost", "total"]
    by_kind = _run(work, "--by", "kind", "--month", "2026-02", "-n", "default").stdout
    assert by_kind.splitlines()[1].split() == ["Dataset", "2.00", "0.50", "USD", "1.00", "live"]


@pytest.mark.parametrize(("output", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_every_entry_and_the_totals(work: Path, output: str, load: Any) -> None:
    found = load(_run(work, "-o", output).stdout)
    assert found["totals"] == {"USD": "4.5"}
    (gone,) = [one for one in found["entries"] if one.get("name") == "gone"]
    assert (gone["namespace"], gone["month"], gone["cost"], gone["revision"]) == (
        "team",
        "2026-01",
        "0.5",
        3,
    )


def test_csv_has_the_columns_of_focus_and_leaves_out_what_has_no_price(work: Path) -> None:
    found = _run(work, "-o", "csv", "--account", "acme")
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    assert {row["BillingAccountId"] for row in rows} == {"acme"}
    assert {row["ResourceName"] for row in rows} == {"docs", "gone"}
    assert found.stderr == "2 without a price are left out\n"


def test_a_folder_without_runs_says_so(tmp_path: Path) -> None:
    Store(tmp_path / "work").create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    )
    found = _run(tmp_path / "work")
    assert (found.exit_code, found.stderr) == (0, "nothing was spent\n")


def test_mistakes_are_one_sentence(work: Path, tmp_path: Path) -> None:
    wrong = _run(work, "--month", "2026-13")
    assert (wrong.exit_code, wrong.stderr) == (
        1,
        "--month: write a month such as 2026-11, not 2026-13\n",
    )
    none = _run(tmp_path / "none")
    assert none.exit_code == 1
    assert "does not exist" in none.stderr


def test_without_a_cluster_it_says_what_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    found = _run(tmp_path, "--cluster")
    assert found.exit_code == 1
    assert "no cluster is configured" in found.stderr
