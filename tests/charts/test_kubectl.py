"""What kubectl shows of the four kinds: columns, explanations, short names, waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cupola_api import crd
from cupola_api.kinds import KINDS

from .conftest import Object
from .written import resources

GROUP = "/apis/cupola.dev/v1alpha1/namespaces/team-a"


@pytest.fixture(scope="module")
def shown(server: Any) -> dict[str, Object]:
    """One resource of each kind as the operator wrote it, by kind; all are in the server."""
    for number, value in enumerate(resources()):
        store(server, value | {"metadata": {"name": f"run-{number}"}})
    return {value["kind"]: value for value in resources()}


def store(server: Any, value: Object) -> None:
    plural = KINDS[value["kind"]].plural
    # what a person wrote wrong is in a simulation, and never gets past the rules of the API
    spec = {k: v for k, v in value["spec"].items() if k != "oops"}
    made = server.call("POST", f"{GROUP}/{plural}", value | {"spec": spec})
    path = f"{GROUP}/{plural}/{value['metadata']['name']}/status"
    server.call("PUT", path, made | {"status": value["status"]})


def rows(text: str) -> list[dict[str, str]]:
    """Lines of a table of kubectl by the names of its columns; cells may be empty."""
    head, *lines = text.splitlines()
    starts = [i for i, c in enumerate(head) if c != " " and (i == 0 or head[i - 2 : i] == "  ")]
    ends = [*starts[1:], None]
    cut = [
        [line[a:b].strip() for a, b in zip(starts, ends, strict=True)] for line in [head, *lines]
    ]
    return [dict(zip(cut[0], cells, strict=True)) for cells in cut[1:]]


def fields(schema: Object, path: str) -> Iterator[tuple[str, Object]]:
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from fields(child, f"{path}.{name}")
    if "items" in schema:
        yield from fields(schema["items"], f"{path}[]")


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described_in_sentences(kind: str) -> None:
    (version,) = crd.definition(KINDS[kind])["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    assert schema["description"]
    for path, field in fields(schema, kind):
        if path == f"{kind}.metadata":  # the API server describes it
            continue
        text = field.get("description", "")
        assert text.rstrip("'\"`)").endswith((".", "…")), f"{path}: {text!r}"


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_described_and_the_narrow_ones_come_first(kind: str) -> None:
    columns = KINDS[kind].columns
    assert all(column.description.endswith(".") for column in columns)
    priorities = [column.priority for column in columns]
    assert priorities == sorted(priorities)
    assert set(priorities) == {0, 1}


def test_a_training_says_what_is_worth_watching(server: Any) -> None:
    value = next(v for v in resources() if v["kind"] == "PretrainJob" and v["status"]["attempts"])
    progress = {
        "fraction": 0.4287,
        "eta": "2026-11-24T08:00:00Z",
        "step": 12862,
        "steps": 30000,
        "loss": 2.8231,
        "tokensPerSecond": 51234.5,
    }
    cost = value["status"]["cost"] | {"accrued": "123.45", "wasted": "0.5"}
    amount = {"low": "100", "expected": "150", "high": "300"}
    plan = {"pool": "a100", "nodes": 1, "devices": 8, "cost": amount, "currency": "USD"}
    status = value["status"] | {
        "phase": "Running",
        "progress": progress,
        "cost": cost,
        "plan": plan,
    }
    attempts = [status["attempts"][0] | {"number": n, "name": f"a{n}"} for n in (1, 2, 3)]
    store(server, value | {"metadata": {"name": "llm"}, "status": status | {"attempts": attempts}})
    (narrow,) = rows(server.kubectl("get", "ptj", "llm", "-n", "team-a"))
    assert narrow.pop("AGE")
    assert narrow == {
        "NAME": "llm",
        "PHASE": "Running",
        "REASON": next(c for c in status["conditions"] if c["type"] == "Ready")["reason"],
        "PROGRESS": "0.4287",
        "LOSS": "2.8231",
        "ETA": "2026-11-24T08:00:00Z",
        "PLANNED": "150",
        "COST": "123.45",
    }
    (wide,) = rows(server.kubectl("get", "ptj", "llm", "-n", "team-a", "-o", "wide"))
    assert {k: wide[k] for k in wide.keys() - narrow.keys() - {"AGE"}} == {
        "STEP": "12862",
        "STEPS": "30000",
        "TOKENS/S": "51234.5",
        "ATTEMPT": "3",
        "WASTED": "0.5",
    }


def test_columns_say_what_the_operator_wrote(server: Any, shown: dict[str, Object]) -> None:
    written = {f"run-{number}": value for number, value in enumerate(resources())}
    for kind in KINDS.values():
        for row in rows(server.kubectl("get", kind.short, "-n", "team-a", "-o", "wide")):
            if row["NAME"] not in written:
                continue
            status = written[row["NAME"]]["status"]
            assert row["PHASE"] == status["phase"]
            cost = status.get("cost", {})
            assert row["COST"] == cost.get("accrued", "")
            plan = status.get("plan", {})
            assert row["PLANNED"] == plan.get("cost", {}).get("expected", "")
            attempts = status.get("attempts", [])
            assert row["ATTEMPT"] == (str(attempts[-1]["number"]) if attempts else "")


@pytest.mark.usefixtures("shown")
def test_all_kinds_are_found_by_short_names_and_by_their_category(server: Any) -> None:
    by_name = server.kubectl("get", "dset,ptj,ft,eval", "-n", "team-a", "-o", "name").splitlines()
    by_category = server.kubectl("get", "cupola", "-n", "team-a", "-o", "name").splitlines()
    assert sorted(by_name) == sorted(by_category)
    assert {name.split(".")[0] for name in by_name} == {kind.lower() for kind in KINDS}


@pytest.mark.usefixtures("shown")
def test_explain_reads_like_documentation(server: Any) -> None:
    text = " ".join(server.kubectl("explain", "ptj.spec.budget.maxCost").split())
    assert "The most that all attempts may cost together." in text
    text = server.kubectl("explain", "eval")
    assert "A model, measured." in text


@pytest.mark.usefixtures("shown")
def test_people_can_wait_for_the_end(server: Any) -> None:
    done = [
        f"{v['kind'].lower()}/run-{n}"
        for n, v in enumerate(resources())
        if v["status"]["phase"] == "Succeeded"
    ]
    for name in done:
        server.kubectl("wait", name, "-n", "team-a", "--for=condition=Succeeded", "--timeout=10s")


@pytest.mark.usefixtures("shown")
def test_describe_shows_why(server: Any) -> None:
    number, value = next(
        (n, v) for n, v in enumerate(resources()) if v["status"]["phase"] == "Failed"
    )
    ready = next(c for c in value["status"]["conditions"] if c["type"] == "Ready")
    text = server.kubectl("describe", f"{value['kind']}/run-{number}", "-n", "team-a")
    found = yaml.safe_load(
        server.kubectl("get", f"{value['kind']}/run-{number}", "-n", "team-a", "-o", "yaml")
    )
    assert ready["reason"] in text
    assert found["status"] == value["status"]
