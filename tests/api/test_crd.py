from __future__ import annotations

import copy
import functools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cupola_api import API_VERSION, crd
from cupola_api.base import Rule, Ruled, holds, models_in
from cupola_api.kinds import KINDS, parse, transition_rule

FOLDER = Path(__file__).parents[2] / "crds"

# the first use of CEL raises the recursion limit, which hypothesis must not see in the middle of a test
holds(Rule("true", ""))

SPECS: dict[str, dict[str, Any]] = {
    "Dataset": {
        "sources": [
            {"name": "code", "uri": "file:///data/code.jsonl.gz", "format": "Jsonl"},
            {"name": "more", "uri": "store:///raw/more", "format": "Parquet", "text": "content"},
        ],
        "curation": {
            "quality": {"rules": "Code", "minWords": 5},
            "pii": {"action": "Redact", "kinds": ["Email", "Secret"]},
            "dedup": {"similarity": 0.7},
        },
        "tokenizer": {"train": {"vocabSize": 4096}},
        "task": {"input": "description", "output": "code"},
        "validation": 0.02,
        "maxPods": 4,
    },
    "PretrainJob": {
        "datasets": [{"name": "code", "weight": 2.5}, {"name": "prose"}],
        "model": {"shape": {"layers": 4, "hidden": 256, "heads": 8, "kvHeads": 4}, "context": 256},
        "tokens": "2M",
        "batch": "8K",
        "schedule": {"learningRate": 0.003},
        "pools": ["cpu"],
        "parallelism": {"gpusPerNode": 2, "zeroStage": 2},
        "checkpoint": {"every": "30s"},
    },
    "FineTune": {
        "base": {"pretrainJob": "base"},
        "dataset": "code",
        "tuning": {"lora": {"rank": 8, "targets": ["q_proj"]}},
        "epochs": 1.5,
        "maxLength": 256,
        "queue": "team",
        "podTemplate": {
            "labels": {"example.com/team": "nlp"},
            "annotations": {"note": "tuned"},
            "env": [{"name": "NCCL_DEBUG", "value": "INFO"}],
            "volumes": [{"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}}],
            "serviceAccountName": "runs",
        },
    },
    "Evaluation": {
        "model": {"fineTune": "tuned"},
        "compareTo": {"pretrainJob": "base"},
        "tasks": [
            {"name": "perplexity", "perplexity": {"dataset": "code"}},
            {"name": "functions", "pythonFunction": {"dataset": "code", "limit": 20}},
            {"name": "mc", "harness": {"task": "arc_mini", "data": "store:///tasks", "shots": 2}},
        ],
        "thresholds": [{"task": "perplexity", "metric": "perplexity", "max": 60.5, "maxDrop": 0}],
    },
}


def resource(kind: str, spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": "example"},
        "spec": spec,
    }


@functools.cache
def schema_of(kind: str) -> dict[str, Any]:
    (version,) = crd.definition(KINDS[kind])["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


# What the API server does, on the subset of schemas that the generator writes.


def default(schema: dict[str, Any], value: Any) -> Any:
    """Prune nulls, then fill in defaults."""
    if schema["type"] == "object" and isinstance(value, dict):
        properties = schema.get("properties", {})
        known = value if "additionalProperties" in schema else properties
        filled = {k: v for k, v in value.items() if not (v is None and k in known)}
        for name, child in properties.items():
            if name not in filled and "default" in child:
                filled[name] = copy.deepcopy(child["default"])
            if name in filled:
                filled[name] = default(child, filled[name])
        return filled
    if schema["type"] == "array" and isinstance(value, list):
        return [default(schema["items"], item) for item in value]
    return value


TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """Whether a defaulted value fits the schema and its rules."""
    if schema["type"] == "object":
        properties = schema.get("properties", {})
        if "additionalProperties" in schema and isinstance(value, dict):
            properties = dict.fromkeys(value, schema["additionalProperties"])
        return (
            isinstance(value, dict)
            and len(value) <= schema.get("maxProperties", 10**9)
            and not value.keys() - properties.keys()
            and not set(schema.get("required", [])) - value.keys()
            and all(accepts(properties[name], item) for name, item in value.items())
            and all(
                holds(Rule(rule["rule"], ""), self=value)
                for rule in schema.get("x-kubernetes-validations", [])
                if "oldSelf" not in rule["rule"]
            )
        )
    if schema["type"] == "array":
        keys = schema.get("x-kubernetes-list-map-keys", [])
        return (
            isinstance(value, list)
            and schema.get("minItems", 0) <= len(value) <= schema["maxItems"]
            and all(accepts(schema["items"], item) for item in value)
            and (not keys or len({tuple(i[k] for k in keys) for i in value}) == len(value))
        )
    if not isinstance(value, TYPES[schema["type"]]):
        return False
    if isinstance(value, bool) != (schema["type"] == "boolean"):
        return False
    return in_bounds(schema, value)


def in_bounds(schema: dict[str, Any], value: Any) -> bool:
    if isinstance(value, str):
        return (
            schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9)
            and value in schema.get("enum", [value])
            and bool(re.search(schema.get("pattern", "").replace("$", r"\Z"), value))
        )
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    return (
        low <= value <= high
        and not (schema.get("exclusiveMinimum") and value == low)
        and not (schema.get("exclusiveMaximum") and value == high)
    )


def refused(kind: str, spec: Any) -> ValidationError | None:
    try:
        parse(resource(kind, spec))
    except ValidationError as error:
        return error
    return None


# Changes to an example: everything that a person might get wrong, and much that is right.

SCALARS: list[Any] = [
    None, True, False, -1, 0, 1, 2, 3, 16, 36, 999, 1000, 10**6, -0.5, 0.5, 1.5, 1e-9, "", "1", "a",
    "code", "prose", "tuned", "A", "a-", "x" * 37, "2M", "2 M", "30m", "1.5K", "true", "Jsonl",
    "jsonl", "Text", "BF16", "file:///x", "file:///", "store:///a b", "s3://x/y", "perplexity",
    "line\n", "é", [], {}, [1], ["a"], ["Email"], [None], {"a": 1}, "s3://bucket/y", "pvc://claim/y",
    "RANK", "NCCL_DEBUG", "API_TOKEN", "cupola", [{"name": "A", "value": "1"}], {"a": "b"},
    [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}], [{"name": "v", "emptyDir": {}}],
    {"volumes": [{"name": "v", "emptyDir": {}}], "env": [{"name": "A", "value": "1"}]},
]  # fmt: skip

KEYS = ["team", "example.com/team", "cupola.dev/name", "a..b/c", "a b"]
"""Keys of a map that a person might write."""


def places(schema: dict[str, Any], value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of every field that is there or could be."""
    found = [path]
    if schema["type"] == "object" and isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            found += places(child, value.get(name), (*path, name))
        found += [(*path, key) for key in KEYS if "additionalProperties" in schema]
        found.append((*path, "unknown"))
    elif schema["type"] == "array" and isinstance(value, list):
        for index, item in enumerate(value):
            found += places(schema["items"], item, (*path, index))
        found.append((*path, len(value)))
    return found


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    step, *rest = path
    if isinstance(step, int):
        items = list(value) if isinstance(value, list) else []
        inner = put(items[step] if step < len(items) else None, tuple(rest), new)
        return [*items[:step], inner, *items[step + 1 :]]
    fields = dict(value) if isinstance(value, dict) else {}
    return fields | {step: put(fields.get(step), tuple(rest), new)}


@st.composite
def changed(draw: st.DrawFn, kind: str) -> Any:
    schema = schema_of(kind)["properties"]["spec"]
    spec: Any = copy.deepcopy(SPECS[kind])
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(places(schema, spec)))
        node = schema
        for step in path:
            inner = node.get("items") if isinstance(step, int) else node.get("properties", {})
            mapped = node.get("additionalProperties", {})
            node = inner if isinstance(step, int) else inner.get(step, mapped)
        if path[-1:] == ("unknown",):
            spec = put(spec, path, 1)
            continue
        edges = [node[k] + d for k in ("minimum", "maximum") if k in node for d in (-1, 0, 1)]
        spec = put(spec, path, draw(st.sampled_from(SCALARS + edges + node.get("enum", []))))
    return spec


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_accepted_by_the_schema_and_by_the_types(kind: str) -> None:
    schema = schema_of(kind)["properties"]["spec"]
    assert refused(kind, SPECS[kind]) is None
    assert accepts(schema, default(schema, SPECS[kind]))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_schema_and_types_accept_the_same(kind: str, data: st.DataObject) -> None:
    schema = schema_of(kind)["properties"]["spec"]
    spec = data.draw(changed(kind))
    error = refused(kind, spec)
    assert (error is None) == (spec is not None and accepts(schema, default(schema, spec))), error


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_of_the_schema_are_those_of_the_types(kind: str) -> None:
    schema = schema_of(kind)["properties"]["spec"]
    parsed = parse(resource(kind, SPECS[kind]))
    assert default(schema, SPECS[kind]) == parsed.spec.to_json()


# What Kubernetes asks of a structural schema, and what Cupola asks besides.


def nodes(schema: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    found = [(path, schema)]
    for name, child in schema.get("properties", {}).items():
        found += nodes(child, f"{path}.{name}")
    if "items" in schema:
        found += nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        found += nodes(schema["additionalProperties"], f"{path}[]")
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_structural_bounded_and_described(kind: str) -> None:
    schema = schema_of(kind)
    assert schema["properties"]["metadata"] == {"type": "object"}
    for path, node in nodes(schema, kind):
        if path == f"{kind}.metadata":
            continue
        assert node["type"] in {"object", "array", "string", "boolean", "integer", "number"}, path
        assert not node.keys() & {"$ref", "anyOf", "oneOf", "allOf", "nullable", "title", "const"}
        assert not [keyword for keyword in node if "preserve-unknown" in keyword], path
        if not path.endswith("[]"):
            assert node.get("description"), path
            assert node["description"].endswith("."), path
        if node["type"] == "string" and path not in (f"{kind}.apiVersion", f"{kind}.kind"):
            assert node.keys() & {"enum", "maxLength"}, path
        if node["type"] == "array":
            assert node["maxItems"] <= 64, path
            for key in node.get("x-kubernetes-list-map-keys", []):
                assert key in node["items"]["required"], path
        if node["type"] == "object":
            assert "properties" in node or "maxProperties" in node, path
        if "default" in node:
            assert accepts(node, default(node, node["default"])), path


@pytest.mark.parametrize("kind", KINDS)
def test_every_default_of_a_type_is_in_the_schema(kind: str) -> None:
    spec = KINDS[kind].model_fields["spec"].annotation
    properties = schema_of(kind)["properties"]["spec"]["properties"]
    for name, field in spec.model_fields.items():
        value = field.get_default(call_default_factory=True)
        if not field.is_required() and value is not None:
            wanted = value.to_json() if hasattr(value, "to_json") else value
            assert properties[field.alias]["default"] == wanted, name


@pytest.mark.parametrize("kind", KINDS)
def test_rules_stand_at_their_objects(kind: str) -> None:
    schema = schema_of(kind)
    (name_rule,) = schema["x-kubernetes-validations"]
    assert name_rule["message"].startswith("metadata.name must be a DNS label")
    rules = schema["properties"]["spec"]["x-kubernetes-validations"]
    transition = transition_rule(KINDS[kind])
    assert rules[-1] == {"rule": transition.cel, "message": transition.message}
    assert [r["message"] for r in rules[:-1]] == [
        r.message for r in KINDS[kind].model_fields["spec"].annotation.rules
    ]


def test_rules_of_a_nested_type_are_kept() -> None:
    model = schema_of("PretrainJob")["properties"]["spec"]["properties"]["model"]
    rule, _ = model["x-kubernetes-validations"]
    assert rule["rule"] == "has(self.size) != has(self.shape)"
    assert len(model["properties"]["shape"]["x-kubernetes-validations"]) == 3


def test_definition_names_the_kind_as_kubectl_wants_it() -> None:
    value = crd.definition(KINDS["PretrainJob"])
    assert value["metadata"]["name"] == "pretrainjobs.cupola.dev"
    assert value["spec"]["names"] == {
        "kind": "PretrainJob",
        "listKind": "PretrainJobList",
        "plural": "pretrainjobs",
        "singular": "pretrainjob",
        "shortNames": ["ptj"],
        "categories": ["cupola"],
    }
    (version,) = value["spec"]["versions"]
    assert version["subresources"] == {"status": {}}
    assert version["additionalPrinterColumns"][0] == {
        "name": "Phase",
        "type": "string",
        "jsonPath": ".status.phase",
        "description": "Where it stands, in one word.",
    }
    attempt = next(c for c in version["additionalPrinterColumns"] if c["name"] == "Attempt")
    assert attempt["priority"] == 1


def test_bounds_are_written_as_openapi_3_0_writes_them() -> None:
    tuning = schema_of("FineTune")["properties"]["spec"]["properties"]["tuning"]
    dropout = tuning["properties"]["lora"]["properties"]["dropout"]
    assert (dropout["minimum"], dropout["maximum"]) == (0, 1)
    assert "exclusiveMinimum" not in dropout
    assert dropout["exclusiveMaximum"] is True


def test_lists_of_named_things_are_maps() -> None:
    sources = schema_of("Dataset")["properties"]["spec"]["properties"]["sources"]
    assert sources["x-kubernetes-list-type"] == "map"
    assert sources["x-kubernetes-list-map-keys"] == ["name"]
    conditions = schema_of("Dataset")["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_files_in_the_repository_are_those_of_the_types() -> None:
    assert crd.differences(FOLDER) == []


def test_check_names_each_file_that_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crd.main([str(tmp_path)]) == 0
    assert crd.main([str(tmp_path), "--check"]) == 0
    (tmp_path / "datasets.cupola.dev.yaml").unlink()
    (tmp_path / "old.cupola.dev.yaml").write_text("")
    changed_file = tmp_path / "finetunes.cupola.dev.yaml"
    changed_file.write_text(changed_file.read_text().replace("maximum: 999\n", "maximum: 99\n"))
    capsys.readouterr()
    assert crd.main([str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path}/datasets.cupola.dev.yaml is missing",
        f"{tmp_path}/finetunes.cupola.dev.yaml differs from the types: 1 line to add, 1 to remove",
        f"{tmp_path}/old.cupola.dev.yaml is of no kind of cupola.dev",
        "run `make crds` and commit the result",
    ]


def test_files_are_yaml_without_anchors() -> None:
    for text in crd.files().values():
        assert text.startswith("# generated by make crds; do not edit\n")
        assert yaml.safe_load(text)["kind"] == "CustomResourceDefinition"
        assert not re.search(r"^\s*(- )?\w*:? ?[&*]id", text, re.MULTILINE)


def test_every_rule_is_checked() -> None:
    models, found = list(KINDS.values()), set()
    while models:
        model = models.pop()
        if model not in found:
            found.add(model)
            models += [
                inner
                for field in model.model_fields.values()
                for inner in models_in(field.annotation)
            ]
    ruled = {model for model in found if model.rules}
    assert len(ruled) > 10
    assert all(issubclass(model, Ruled) for model in ruled)


def test_a_description_of_several_lines_becomes_one() -> None:
    node = {"description": "One line,\nand another.", "examples": ["2M", "1K"]}
    assert crd._description(node) == "One line, and another. For example 2M, 1K."
