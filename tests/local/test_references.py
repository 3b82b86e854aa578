from __future__ import annotations

from typing import Any

import pytest

from cupola_api import API_VERSION, kinds
from cupola_operator.cluster import Key
from cupola_operator.references import references
from cupola_operator.resources import refers_to

SOURCES = [{"name": "a", "uri": "store:///a", "format": "Jsonl"}]
TASKS = [
    {"name": "p", "perplexity": {"dataset": "d1"}},
    {"name": "h", "harness": {"task": "t", "data": "store:///t"}},
    {"name": "f", "pythonFunction": {"dataset": "d2"}},
]


def _resource(kind: str, spec: dict[str, Any]) -> Any:
    metadata = {"name": "x", "namespace": "n"}
    return kinds.parse(
        {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    )


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("Dataset", {"sources": SOURCES}, []),
        (
            "Dataset",
            {"sources": SOURCES, "tokenizer": {"dataset": "d"}},
            [("spec.tokenizer.dataset", "Dataset", "d")],
        ),
        (
            "PretrainJob",
            {"datasets": [{"name": "d1"}, {"name": "d2"}], "model": {"size": "1M"}},
            [
                ("spec.datasets[0].name", "Dataset", "d1"),
                ("spec.datasets[1].name", "Dataset", "d2"),
            ],
        ),
        (
            "FineTune",
            {"base": {"pretrainJob": "p"}, "dataset": "d"},
            [("spec.base.pretrainJob", "PretrainJob", "p"), ("spec.dataset", "Dataset", "d")],
        ),
        (
            "Evaluation",
            {"model": {"fineTune": "f"}, "compareTo": {"pretrainJob": "p"}, "tasks": TASKS},
            [
                ("spec.model.fineTune", "FineTune", "f"),
                ("spec.compareTo.pretrainJob", "PretrainJob", "p"),
                ("spec.tasks[0].perplexity.dataset", "Dataset", "d1"),
                ("spec.tasks[2].pythonFunction.dataset", "Dataset", "d2"),
            ],
        ),
    ],
)
def test_every_reference_is_found_where_it_is_written(
    kind: str, spec: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    resource = _resource(kind, spec)
    found = references(resource)
    assert found == [(path, Key(other, "n", name)) for path, other, name in expected]
    assert refers_to(resource) == list(dict.fromkeys(key for _, key in found))
