from __future__ import annotations

from typing import Any

import pytest

from cupola_api.common import ModelReference
from cupola_operator import resources
from cupola_operator.cluster import Key, key_of


def test_a_resource_is_read_without_its_status(kit: Any) -> None:
    value = kit.resource("Dataset") | {"status": {"phase": "Nonsense"}}
    resource, invalid = resources.parse(value)
    assert resource
    assert resource.status is None
    assert invalid == ""


def test_a_status_that_cannot_be_read_is_empty() -> None:
    assert resources.parse_status("Dataset", {"phase": "Nonsense"}).phase == "Pending"
    assert resources.parse_status("Dataset", None).phase == "Pending"
    assert resources.parse_status("Dataset", {"phase": "Failed"}).phase == "Failed"


def test_an_invalid_resource_says_why_in_a_few_sentences(kit: Any) -> None:
    resource, invalid = resources.parse(kit.resource("Dataset", a=1, b=2, c=3, d=4))
    assert resource is None
    assert invalid.count("there is no field") == 3


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("Dataset", {}, []),
        ("Dataset", {"tokenizer": {"dataset": "other"}}, [("Dataset", "other")]),
        ("PretrainJob", {}, [("Dataset", "data")]),
        ("FineTune", {}, [("PretrainJob", "base"), ("Dataset", "data")]),
        (
            "Evaluation",
            {},
            [("FineTune", "tuned"), ("PretrainJob", "base"), ("Dataset", "data")],
        ),
        (
            "Evaluation",
            {
                "compareTo": {"fineTune": "tuned"},
                "thresholds": [],
                "tasks": [
                    {"name": "a", "perplexity": {"dataset": "one"}},
                    {"name": "b", "pythonFunction": {"dataset": "one"}},
                    {"name": "c", "pythonFunction": {"dataset": "two"}},
                ],
            },
            [("FineTune", "tuned"), ("Dataset", "one"), ("Dataset", "two")],
        ),
    ],
)
def test_what_a_resource_refers_to_each_once(
    kit: Any, kind: str, fields: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    resource, _ = resources.parse(kit.resource(kind, **fields))
    assert resource
    assert resources.refers_to(resource) == [Key(k, "default", n) for k, n in expected]


def test_an_input_needs_an_artifact(kit: Any) -> None:
    key = Key("Dataset", "default", "data")
    ready = resources.reference_of(key, kit.done("Dataset"))
    assert ready.ready
    assert ready.input().uri.endswith("/artifact")
    missing = resources.reference_of(key, None)
    assert not missing.ready
    with pytest.raises(ValueError, match="has no artifact"):
        missing.input()


def test_a_model_goes_back_to_its_pretraining(kit: Any) -> None:
    def known(**bases: dict[str, str]) -> dict[Key, resources.Reference]:
        made = [kit.resource("FineTune", name, base=base) for name, base in bases.items()]
        found = [*made, kit.resource("PretrainJob")]
        keys = [(key_of(value), value) for value in found]
        return {key: resources.reference_of(key, value) for key, value in keys}

    first = ModelReference(fine_tune="one")
    there = known(one={"fineTune": "two"}, two={"pretrainJob": "base"})
    found, key = resources.origin(first, "default", there)
    assert found
    assert key == Key("PretrainJob", "default", "base")
    broken = known(one={"fineTune": "two"})
    assert resources.origin(first, "default", broken) == (None, Key("FineTune", "default", "two"))
    ring = known(one={"fineTune": "two"}, two={"fineTune": "one"})
    assert resources.origin(first, "default", ring) == (None, Key("FineTune", "default", "one"))
