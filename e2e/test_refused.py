"""The API server refuses what is wrong with a sentence, and what it accepts the operator can read."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from cupola_api.kinds import KINDS, parse
from cupola_operator.kube.api import Answer, Api, Request
from cupola_operator.kube.connection import configuration

from .conftest import SYSTEM, load
from .harness import ROOT, Space, kubectl, until

NUMBER = 200
"""Of valid and of invalid ones, of each kind."""

generate = load(ROOT / "tests/bad_input/generate.py")


@pytest.fixture(scope="module")
def post() -> Callable[..., Answer]:
    """Sends an object to the API server as it is; strictly, so that nothing is dropped in silence."""
    api = Api(configuration())

    def send(namespace: str, value: dict[str, Any], **query: str) -> Answer:
        plural = KINDS[value["kind"]].plural
        path = f"/apis/cupola.dev/v1alpha1/namespaces/{namespace}/{plural}"
        query |= {"fieldValidation": "Strict"}
        return api.ask(Request("create", plural, path, query, value))

    return send


def is_valid(value: dict[str, Any]) -> bool:
    try:
        parse(json.loads(json.dumps(value)))
    except (ValidationError, ValueError, OverflowError):
        return False
    return True


def holds_null(value: Any) -> bool:
    """Whether a null is in it, which the API server takes for a field that is not there."""
    if isinstance(value, dict):
        return any(map(holds_null, value.values()))
    if isinstance(value, list):
        return any(map(holds_null, value))
    return value is None


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_wrong_is_refused_with_a_sentence(
    make_space: Callable[[str], Space], post: Callable[..., Answer], kind: str
) -> None:
    space, rng, refused, accepted = make_space("refused"), random.Random(kind), 0, []
    while refused < NUMBER:
        value = generate.resource(rng, kind)
        how = [generate.spoil(rng, value) for _ in range(rng.choice([1, 1, 2, 3]))]
        is_ours = value.get("kind") == kind and value.get("apiVersion") == "cupola.dev/v1alpha1"
        if not is_ours or holds_null(value) or is_valid(value):
            continue
        answer = post(space.name, value, dryRun="All")
        refused += 1
        if answer.ok:
            accepted.append((how, value["spec"]))
        assert len(answer.message) > 20, answer.message
    assert not accepted


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_valid_is_accepted_and_reconciled(
    make_space: Callable[[str], Space], post: Callable[..., Answer], kind: str
) -> None:
    space, rng, made = make_space(f"valid-{KINDS[kind].short}"), random.Random(kind), 0
    while made < NUMBER:
        value = generate.resource(rng, kind)
        value["metadata"] = {"name": f"v{made}"}
        value["spec"]["suspend"] = True
        if not is_valid(value):
            continue
        answer = post(space.name, value)
        assert answer.ok, (answer.message, value)
        made += 1
    until(
        "every one has a phase",
        lambda: all(one.get("status", {}).get("phase") for one in space.list(kind)),
        timeout=180,
        every=3,
    )
    assert {one["status"]["phase"] for one in space.list(kind)} <= {"Suspended", "Stalled"}
    log = kubectl("-n", SYSTEM, "logs", "deployment/cupola-operator", "--since=10m", timeout=60)
    about = [line for line in log.splitlines() if re.search(rf"{kind}/v\d+\b", line)]
    assert not [line for line in about if "Traceback" in line or '"level": "error"' in line.lower()]
    space.run("delete", kind, "--all", "--wait=false", timeout=120)
