"""Settings, resources and references for tests of plans."""

from __future__ import annotations

from typing import Any

from cupola_api.common import Artifact, Phase, RunStatus
from cupola_api.dataset import DatasetStatus, DatasetSummary
from cupola_api.kinds import parse
from cupola_api.pretrainjob import PretrainJobStatus
from cupola_operator.cluster import Key
from cupola_operator.plan.anatomy import families
from cupola_operator.plan.answers.known import Known
from cupola_operator.resources import STATUS, Reference
from cupola_operator.settings import Settings

DIGEST = "sha256:" + "0" * 64

LLAMA_8B = families.of(
    "llama",
    layers=32,
    hidden=4096,
    heads=32,
    kv_heads=8,
    ffn=14336,
    vocabulary=128256,
    context=8192,
)
LLAMA_405B = families.of(
    "llama",
    layers=126,
    hidden=16384,
    heads=128,
    kv_heads=8,
    ffn=53248,
    vocabulary=128256,
    context=8192,
)

A100 = {
    "name": "a100",
    "device": "Gpu",
    "gpu": "a100-80g",
    "gpusPerNode": 8,
    "nodes": 128,
    "pricePerGpuHour": "1.50",
    "gpuWatts": 400,
    "networkGbit": 1600,
}


def settings(*pools: dict[str, Any], **fields: Any) -> Settings:
    """Settings with these pools; by default 128 nodes of A100s."""
    value = {"store": "file:///s", "pools": list(pools or (A100,))}
    first = value["pools"][0]["name"]
    return Settings.model_validate(value | {"dataPool": first} | fields)


def resource(kind: str, name: str, **spec: Any) -> Any:
    """A resource."""
    return parse(
        {
            "apiVersion": "cupola.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
    )


def dataset(name: str = "web", vocabulary: int = 32_000) -> Any:
    return resource(
        "Dataset",
        name,
        sources=[{"name": "a", "uri": "store:///a", "format": "Text"}],
        tokenizer={"train": {"vocabSize": vocabulary}},
    )


def pretraining(name: str = "base", **spec: Any) -> Any:
    value = {"datasets": [{"name": "web"}], "model": {"size": "1B", "context": 2048}} | spec
    return resource("PretrainJob", name, **value)


def finished(one: Any, tokens: int, examples: int = 0, documents: int = 1000) -> Reference:
    """A Dataset that is finished, with so many tokens."""
    summary = DatasetSummary(
        documents_read=documents,
        documents_kept=documents,
        tokens=tokens,
        validation_tokens=tokens // 100,
        examples=examples,
        vocabulary=one.spec.tokenizer.train.vocab_size,
        tokenizer_digest=DIGEST,
    )
    status = DatasetStatus(
        phase=Phase.SUCCEEDED,
        run=RunStatus(revision=1),
        artifact=Artifact(uri="file:///a", digest=DIGEST, bytes=1),
        summary=summary,
    )
    return Reference(key(one), one, status)


def trained(one: Any) -> Reference:
    """A PretrainJob that is finished."""
    status = PretrainJobStatus(
        phase=Phase.SUCCEEDED,
        run=RunStatus(revision=1),
        artifact=Artifact(uri="file:///m", digest=DIGEST, bytes=1),
    )
    return Reference(key(one), one, status)


def key(one: Any) -> Key:
    return Key(one.kind, one.metadata.namespace, one.metadata.name)


def known(*found: Any) -> Known:
    """What is known: resources that did not run, and references."""
    references = [
        one if isinstance(one, Reference) else Reference(key(one), one, STATUS[one.kind]())
        for one in found
    ]
    return Known({one.key: one for one in references})
