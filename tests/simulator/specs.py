"""The resource under test, of each kind, and what it refers to, finished."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cupola_api.artifact import digest_of
from cupola_api.kinds import KINDS
from cupola_operator.cluster import Key, Object
from cupola_operator.local.clock import rfc3339
from cupola_operator.pools import DatedPrice
from cupola_operator.settings import Settings

from .cluster import EPOCH

POOLS = ("cpu", "more")

SPOT = {"example.com/spot": "true"}
"""Labels of nodes that can be taken away."""

MONEY: dict[str, dict[str, Any]] = {
    "cpu": {
        "spotPricePerGpuHour": "12",
        "spotNodes": SPOT,
        "prices": [{"from": rfc3339(EPOCH + 300), "pricePerGpuHour": "45"}],
    },
    "more": {"prices": [{"from": rfc3339(EPOCH + 150), "pricePerGpuHour": "18"}]},
}
"""What is special about the prices of each pool."""

LATER = [
    DatedPrice.model_validate(
        {"from": rfc3339(EPOCH + 200), "pricePerGpuHour": "90", "spotPricePerGpuHour": "9"}
    )
]

SETTINGS = Settings.model_validate(
    {
        "store": "s3://models",
        "dataPool": "cpu",
        "pools": [
            {
                "name": name,
                "device": "Cpu",
                "gpusPerNode": 2,
                "nodes": 4,
                "threadsPerGpu": 3,
                "pricePerGpuHour": "36",
                "gpuWatts": 10,
                "schedulingTimeout": "2m",
                **MONEY[name],
            }
            for name in POOLS
        ],
    }
)
"""A second of a device costs a cent at first."""

NEWER = SETTINGS.model_copy(
    update={
        "pools": [
            one.model_copy(update={"price_per_gpu_hour": "72", "prices": one.prices + LATER})
            for one in SETTINGS.pools
        ]
    }
)
"""Settings of a newer operator: the price has doubled, for runs that are not resolved yet; later it
changes for all."""

FREE = SETTINGS.model_copy(
    update={
        "pools": [
            SETTINGS.pools[0],
            SETTINGS.pools[1].model_copy(update={"price_per_gpu_hour": None, "prices": []}),
        ]
    }
)
"""Settings of another operator: what may run on the second pool has no price."""

SPECS: dict[str, tuple[str, dict[str, Any]]] = {
    "Dataset": (
        "data",
        {
            "sources": [{"name": "web", "uri": "store:///raw", "format": "Jsonl"}],
            "task": {"input": "q", "output": "a"},
        },
    ),
    "PretrainJob": (
        "base",
        {
            "datasets": [{"name": "data"}],
            "model": {"shape": {"layers": 2, "hidden": 64, "heads": 2}, "context": 256},
            "tokens": "2M",
            "parallelism": {"nodes": 2},
            "pools": list(POOLS),
        },
    ),
    "FineTune": (
        "tuned",
        {
            "base": {"pretrainJob": "base"},
            "dataset": "data",
            "parallelism": {"nodes": 2},
            "pools": ["cpu"],
        },
    ),
    "Evaluation": (
        "exam",
        {
            "model": {"fineTune": "tuned"},
            "tasks": [{"name": "answers", "perplexity": {"dataset": "data"}}],
            "pools": list(POOLS),
        },
    ),
}

UPSTREAM = {
    "Dataset": [],
    "PretrainJob": ["Dataset"],
    "FineTune": ["Dataset", "PretrainJob"],
    "Evaluation": ["Dataset", "PretrainJob", "FineTune"],
}


def key_of_kind(kind: str) -> Key:
    """The resource of a kind in a simulation."""
    return Key(kind, "default", SPECS[kind][0])


def resource(kind: str) -> Object:
    """The resource under test."""
    name, spec = SPECS[kind]
    return {
        "apiVersion": "cupola.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


@lru_cache
def done(kind: str, version: int = 1) -> Object:
    """A finished resource of a kind; another `version` has another artifact. Always the same object."""
    value = resource(kind)
    name = value["metadata"]["name"]
    status: dict[str, Any] = {
        "phase": "Succeeded",
        "run": {"revision": value["spec"].get("revision", 1), "digest": digest_of(name)},
        "artifact": {
            "uri": f"file:///data/default/{kind.lower()}/{name}/{version}/artifact",
            "digest": digest_of([kind, name, version]),
            "bytes": 10,
        },
    }
    if kind == "Dataset":
        status["summary"] = {
            "documentsRead": 10,
            "documentsKept": 9,
            "tokens": 900,
            "validationTokens": 50,
            "vocabulary": 4096,
            "tokenizerDigest": digest_of("tokenizer"),
        }
    if kind in ("PretrainJob", "FineTune"):
        status["model"] = {"parameters": 2_000_000, "tokenizerDigest": digest_of("tokenizer")}
    return {**value, "status": status}


def accepts(kind: str, field: str) -> bool:
    """Whether the spec of a kind has a field."""
    return field in KINDS[kind].model_fields["spec"].annotation.model_fields
