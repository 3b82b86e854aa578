"""Resources at random, from the schema of the CRDs: valid ones, and ones with something wrong.

A resource begins as an example that works. It is changed within its schema (other values, fields
added and removed), and then, mostly, spoilt in one to three places.
"""

from __future__ import annotations

import copy
import functools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cupola_api import API_VERSION, crd
from cupola_api.common import PLACE
from cupola_api.dataset import SOURCE
from cupola_api.kinds import KINDS
from cupola_api.synthetic import COMMIT, URL

PLACES = [
    *("store:///a", "file:///a/b", "store:///../../etc", "store:///%2e%2e/x", "file:///a?b#c"),
    *("store:///é", "file:////", "store:///a/../..", "s3://bucket/a", "s3://a.b-c/%2e%2e/x"),
    *("pvc://claim/a", "pvc://a/../../b"),
]

NAMES = ["data", "base", "tuned", "a-b", "x" * 36]
"""Names of which there is a finished resource of every kind that may be referred to."""

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "Dataset": [
        {"sources": [{"name": "web", "uri": "store:///raw", "format": "Jsonl"}]},
        {
            "sources": [
                {"name": "web", "uri": "file:///raw", "format": "Parquet", "text": "body"},
                {"name": "code", "uri": "store:///code", "format": "Jsonl"},
            ],
            "task": {"input": "q", "output": "a"},
            "tokenizer": {"dataset": "base"},
            "curation": {"quality": {}, "dedup": {}, "pii": {"kinds": ["Email", "Iban"]}},
        },
    ],
    "PretrainJob": [
        {"datasets": [{"name": "data"}], "model": {"size": "2M"}},
        {
            "datasets": [{"name": "data", "weight": 2}, {"name": "base", "weight": 0.5}],
            "model": {"shape": {"layers": 2, "hidden": 64, "heads": 4, "kvHeads": 2}},
            "tokens": "140B",
            "batch": "4M",
            "parallelism": {"nodes": 2, "gpusPerNode": 2},
        },
        {
            "datasets": [{"name": "tuned"}],
            "model": {"size": "7B", "context": 4096},
            "tokensPerParameter": 0.1,
            "budget": {"maxCost": "12.50"},
            "pools": ["h100"],
        },
    ],
    "FineTune": [
        {"base": {"pretrainJob": "base"}, "dataset": "data", "examplesPerStep": 8},
        {
            "base": {"fineTune": "tuned"},
            "dataset": "base",
            "tuning": {"lora": {"targets": ["q_proj"], "rank": 4}},
            "parallelism": {"gpusPerNode": 1},
            "maxLength": 64,
        },
    ],
    "Evaluation": [
        {
            "model": {"pretrainJob": "base"},
            "tasks": [{"name": "p", "perplexity": {"dataset": "data"}}],
        },
        {
            "model": {"fineTune": "tuned"},
            "compareTo": {"pretrainJob": "base"},
            "tasks": [
                {"name": "f", "pythonFunction": {"dataset": "base"}},
                {"name": "m", "harness": {"task": "mmlu", "data": "store:///mmlu", "shots": 5}},
            ],
            "thresholds": [{"task": "m", "metric": "acc", "min": 0.25, "maxDrop": 0.1}],
        },
    ],
}

PATTERNS: dict[str, list[str]] = {
    r"^[0-9]{1,15}(\.[0-9]{1,6})?[KMBT]?$": [
        *("0", "1", "0.5", "999999999999999T", "999999999999999.999999", "0.000001K", "2M", "7B"),
    ],
    r"^([0-9]{1,6}(d|h|m|s))+$": ["0s", "1s", "30m", "1h30m", "999999d", "999999d" * 3, "0d0h"],
    r"^[0-9]{1,12}(\.[0-9]{1,6})?$": ["0", "0.000001", "150.00", "999999999999.999999", "00"],
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": NAMES,
    PLACE: PLACES,
    SOURCE: [*PLACES, "hf://org/name", "hf://a/b@c%2Fd/e#f"],
    r"^[1-9][0-9]{0,8}(Ki|Mi|Gi|Ti)$": ["1Ki", "2Gi", "999999999Ti"],
    r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$": ["", "a", "A_b.c-9", "9" * 63],
    r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$": ["runs", "a.b", "x" * 253],
    r"^[A-Za-z_][A-Za-z0-9_]{0,127}$": ["A", "_", "NCCL_DEBUG", "RANK", "HF_TOKEN", "A" * 128],
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$": ["p", "m", "mmlu", "A_b.c-D", "9" * 63],
    COMMIT: ["hf://org/name@" + "0" * 40, "hf://a.b/c_d@" + "f" * 40],
    URL: ["http://a", "https://models.example.com:8443/v1", "https://127.0.0.1/a/b.c~d"],
    r"^[^\x00-\x20\x7f]+$": ["writer-large", "org/name:tag", "名前"],
    r"^[-._a-zA-Z0-9]+$": ["key", "a.b_c-D", ".", "9" * 253],
    r"^[a-z][a-z0-9_]{0,62}$": ["acc", "perplexity", "a" * 63],
}
"""Texts that match each pattern of the API, the extreme ones among them."""

KEYS = ["team", "example.com/team", "cupola.dev/name", "a..b/c", "", "x" * 64]
"""Keys of maps, good ones and others."""

STRANGE = [
    *("", " ", "\n", "a\nb", "../x", "a/b", "A", "-", "a-", "1.0", "true", "null", "7B", "2 M", "1e9"),
    *("\x1b[31mred", "\x00", "\u202eabc", "é", "名前", "👩‍🚀", "a" * 37, "a" * 64, "x" * 5000, "${HOME}"),
    *("s3://b/x", "hf://o/n", "file://host/x", "store:///a b", "store:////\\", "%s", "{}", "<<", "'", '"'),
]  # fmt: skip
"""Texts that people and programs write where they should not."""

WRONG: list[Any] = [
    *(None, True, False, 0, -1, 1, 1.5, -0.0, 2**31, 2**63, -(2**63) - 1, 10**30, 10**290, 1e308),
    *(5e-324, [], [[]], [None], {}, {"a": 1}, {"name": {}}, [{"name": "a"}] * 2, ["a"] * 200),
]
"""Values of every type, with little regard for what belongs there."""


@dataclass(frozen=True)
class Place:
    """A field or an item of a resource that is there, or that may be."""

    inside: Any
    """The object or list that it is in."""
    at: str | int
    schema: dict[str, Any]
    there: bool
    required: bool

    def put(self, value: Any) -> None:
        """Write it."""
        self.inside[self.at] = value

    def drop(self) -> None:
        """Take it away."""
        if self.there:
            del self.inside[self.at]


@functools.cache
def schema_of(kind: str) -> dict[str, Any]:
    """The schema of metadata and spec of a kind, as the CRD has it."""
    (version,) = crd.definition(KINDS[kind])["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    labels = {"type": "object", "properties": {"team": {"type": "string"}}}
    metadata = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "maxLength": 36}, "labels": labels},
    }
    return {"required": ["spec"], "properties": {"metadata": metadata, "spec": spec}}


def places(value: Any, schema: dict[str, Any]) -> Iterator[Place]:
    """Every place below a value, as its schema has them."""
    if isinstance(value, dict):
        for name in KEYS if "additionalProperties" in schema else ():
            yield Place(value, name, schema["additionalProperties"], name in value, required=False)
        for name, child in schema.get("properties", {}).items():
            yield Place(value, name, child, name in value, name in schema.get("required", []))
            if name in value:
                yield from places(value[name], child)
    elif isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            yield Place(value, i, schema["items"], there=True, required=False)
            yield from places(item, schema["items"])


def valid(rng: random.Random, schema: dict[str, Any], depth: int = 0) -> Any:
    """A value that its schema allows, often at the edge; rules between fields may refuse it."""
    if "enum" in schema:
        return rng.choice(schema["enum"])
    match schema["type"]:
        case "string":
            if "pattern" in schema:
                return rng.choice(PATTERNS[schema["pattern"]])
            return rng.choice(["a", "é", "a b", "x" * schema.get("maxLength", 10)])
        case "integer" | "number":
            return _number(rng, schema, outside=False)
        case "boolean":
            return rng.random() < 0.5
        case "array":
            least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
            many = rng.choice([least, 1, 2, most if rng.random() < 0.05 else 2])
            return [valid(rng, schema["items"], depth + 1) for _ in range(max(least, many))]
    if "additionalProperties" in schema:
        keys = rng.sample(KEYS, rng.randrange(3))
        return {key: valid(rng, schema["additionalProperties"], depth + 1) for key in keys}
    required = schema.get("required", [])
    return {
        name: valid(rng, child, depth + 1)
        for name, child in schema.get("properties", {}).items()
        if name in required or rng.random() < 0.3 / (depth + 1)
    }


def _number(rng: random.Random, schema: dict[str, Any], *, outside: bool) -> Any:
    """A number at one of the edges of what is allowed, inside or one step outside of them."""
    step = 1 if schema["type"] == "integer" else 1e-6
    edges = []
    for name, inwards in (("minimum", 1), ("maximum", -1)):
        if name in schema:
            exclusive = schema.get(f"exclusive{name.capitalize()}", False)
            edge = schema[name]
            inner = edge + inwards * step if exclusive else edge
            edges += [inner - inwards * step] if outside else [inner, inner + inwards * step]
    if not edges:
        edges = [0, 1, -5, 1e9]
    return rng.choice(edges if outside or rng.random() < 0.7 else [*edges, schema.get("default", edges[0])])  # fmt: skip


def example(kind: str, number: int = 0) -> dict[str, Any]:
    """A resource that works."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": "it"},
        "spec": copy.deepcopy(EXAMPLES[kind][number]),
    }


def resource(rng: random.Random, kind: str) -> dict[str, Any]:
    """A resource of a kind that its schema allows."""
    value = example(kind, rng.randrange(len(EXAMPLES[kind])))
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        spec = schema_of(kind)["properties"]["spec"]
        place = rng.choice(list(places(value["spec"], spec)))
        if place.there and not place.required and rng.random() < 0.2:
            place.drop()
        else:
            place.put(valid(rng, place.schema))
    return value


def spoil(rng: random.Random, value: dict[str, Any]) -> str:
    """Make something wrong, or at least strange; says what was done."""
    found = list(places(value, schema_of(value["kind"])))
    there = [p for p in found if p.there]
    if not there:
        return "nothing is left to spoil"
    place = rng.choice(there)
    how: Callable[..., str] = rng.choice(_WAYS)
    return f"{how.__name__} at {place.at}: {how(rng, value, place, found)}"


def _drop(rng: random.Random, value: Any, place: Place, found: list[Place]) -> str:
    place.drop()
    return ""


def _null(rng: random.Random, value: Any, place: Place, found: list[Place]) -> str:
    place.put(None)
    return ""


def _unknown(rng: random.Random, value: Any, place: Place, found: list[Place]) -> str:
    objects = [value, *(p.inside for p in found if isinstance(p.inside, dict))]
    name = rng.choice([str(place.at) + "s", str(place.at)[:-1], *STRANGE])
    rng.choice(objects).setdefault(name, rng.choice(WRONG))
    return repr(name)


def _wrong(rng: random.Random, value: Any, place: Place, found: list[Place]) -> str:
    new = copy.deepcopy(rng.choice(WRONG))
    place.put(new)
    return repr(new)[:80]


def _strange(rng: random.Random, value: Any, place: Place, found: list[Place]) -> str:
    place = rng.choice([p for p in found if p.schema.get("type") == "string"] or [place])
    place.put(rng.choice(STRANGE))
    return f"{place.at} {place.inside[place.at]!r}"[:80]


def _bound(rng: random.Random, value: Any, place: Place, found: list[Place]) -> str:
    bounded = [p for p in found if {"minimum", "maximum"} & p.schema.keys()]
    if not bounded:
        return _wrong(rng, value, place, found)
    place = rng.choice(bounded)
    place.put(_number(rng, place.schema, outside=rng.random() < 0.8))
    return f"{place.at} {place.inside[place.at]!r}"


def _length(rng: random.Random, value: Any, place: Place, found: list[Place]) -> str:
    long = [p for p in found if "maxLength" in p.schema or p.schema.get("type") == "array"]
    if not long:
        return _wrong(rng, value, place, found)
    place = rng.choice(long)
    if place.schema["type"] == "string":
        most = place.schema["maxLength"]
        place.put("a" * rng.choice([0, most - 1, most, most + 1]))
    else:
        most = place.schema.get("maxItems", 10)
        item = valid(rng, place.schema["items"])
        many = rng.choice([0, most, most + 1])
        place.put([copy.deepcopy(item) for _ in range(many)])
    return f"{place.at} {len(place.inside[place.at])}"


def _enum(rng: random.Random, value: Any, place: Place, found: list[Place]) -> str:
    place = rng.choice([p for p in found if "enum" in p.schema] or [place])
    word = str(rng.choice(place.schema.get("enum", ["X"])))
    place.put(rng.choice([word.lower(), word + "s", word[:-1], f" {word}", f"{word}\n"]))
    return repr(place.inside[place.at])


def _swap(rng: random.Random, value: Any, place: Place, found: list[Place]) -> str:
    other = rng.choice([p for p in found if p.there])
    mine, theirs = copy.deepcopy((place.inside[place.at], other.inside[other.at]))
    place.put(theirs)
    try:
        other.put(mine)
    except (IndexError, KeyError):
        return f"{other.at} went with it"
    return str(other.at)


def _twice(rng: random.Random, value: Any, place: Place, found: list[Place]) -> str:
    for one in [p for p in found if p.there and isinstance(p.inside[p.at], list)]:
        one.put(one.inside[one.at] * 2)
    return ""


_WAYS = [_drop, _null, _unknown, _wrong, _wrong, _strange, _bound, _bound, _length, _enum, _swap, _twice]  # fmt: skip
