"""The run in which a model writes a Dataset's synthetic source, and the source that comes of it."""

from __future__ import annotations

from typing import Any

from cupola_api import quantities
from cupola_api import run as contract
from cupola_api.common import Lineage
from cupola_api.dataset import AnySource, Dataset, DatasetSpec, DatasetStatus, Format, Source
from cupola_api.run import Input
from cupola_api.synthetic import MadeBy, SecretKey, Synthetic
from cupola_operator.cluster import Key
from cupola_operator.plan import Refused
from cupola_operator.pools import Pool
from cupola_operator.resources import key_of_model
from cupola_operator.settings import Settings
from cupola_operator.world import World

STAGE = "generate"
"""The stage; its ConfigMap is another than that of the curation."""

_MOST_OF_POD = 32
"""Answers that one pod asks an endpoint for at a time."""


def synthetic(world: World) -> Synthetic | None:
    """What a model is to write for a Dataset, if it is to write anything."""
    if not isinstance(world.resource, Dataset):
        return None
    found = world.resource.spec.synthetic_source
    return found.synthetic if found else None


def concurrency(asked: Synthetic) -> int:
    """Answers that a pod writes at a time."""
    return min(asked.concurrency, _MOST_OF_POD) if asked.model.endpoint else asked.concurrency


def at_once(asked: Synthetic, pods: int) -> int:
    """Pods at a time, of at most `pods`: those of an endpoint ask for `concurrency` together."""
    if asked.model.endpoint:
        return max(1, min(pods, asked.concurrency // concurrency(asked)))
    return pods


def endpoint_key(world: World) -> SecretKey | None:
    """The key of the endpoint that writes, as the spec names it now."""
    asked = synthetic(world)
    return asked.model.endpoint.key if asked and asked.model.endpoint else None


def generate_run(world: World, pool: Pool, output: str) -> contract.GenerateRun:
    """The writing, on the devices of that pool. Raises TypeError if the Dataset asks for none.

    `output`: the folder of the resource.
    """
    spec = world.resource_as(Dataset).spec
    source = spec.synthetic_source
    if source is None or source.synthetic is None:
        raise TypeError(f"{world.key} has no synthetic source")
    asked = source.synthetic
    reference, endpoint, budget = asked.model.reference, asked.model.endpoint, asked.budget
    model = (
        world.references[key_of_model(reference, world.key.namespace)].input()
        if reference
        else None
    )
    return contract.GenerateRun(
        namespace=world.key.namespace,
        name=world.key.name,
        output=output,
        source=source.name,
        model=model,
        hugging_face=asked.model.hugging_face,
        # The key's place is no part of what is written: the pods of an attempt get it as it is now.
        endpoint=endpoint.model_copy(update={"key": None}) if endpoint else None,
        prompts=asked.prompts,
        seeds=_seeds(world, spec, asked),
        documents=asked.documents,
        max_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        seed=asked.seed,
        concurrency=concurrency(asked),
        budget_tokens=quantities.count(budget.tokens) if budget and budget.tokens else None,
        budget_cost=budget.max_cost if budget else None,
        threads=pool.threads_per_gpu,
        device="Cpu" if endpoint else pool.device.value,
    )


def _seeds(world: World, spec: DatasetSpec, asked: Synthetic) -> contract.SeedsOf:
    """The documents that prompts are about, with resolved places."""
    longest = asked.seeds.max_characters
    if asked.seeds.dataset:
        key = Key("Dataset", world.key.namespace, asked.seeds.dataset)
        return contract.SeedsOf(dataset=world.references[key].input(), max_characters=longest)
    source = next(one for one in spec.sources if one.name == asked.seeds.source)
    return contract.SeedsOf(
        source=files(world.settings, source).model_copy(update={"weight": None}),
        written=source.uri,
        max_characters=longest,
    )


def files(settings: Settings, source: AnySource) -> Source:
    """A source of files with its resolved place."""
    return _of_files(source, uri=settings.resolve(source.uri or ""))


def written(world: World, source: AnySource) -> Source:
    """A synthetic source as files, now that they are written. Refuses if they are not."""
    status = world.status_as(DatasetStatus)
    if status.synthetic is None:
        raise Refused(
            "NotWritten", "what the model wrote is not in status any more; raise spec.revision"
        )
    made = status.synthetic
    return _of_files(
        source,
        uri=f"{made.uri}/documents",
        format=Format.JSONL,
        made_by=MadeBy(
            model=made.model, prompts=made.prompts, digest=made.digest, inputs=_inputs(world)
        ),
    )


def _of_files(source: AnySource, **known: Any) -> Source:
    """The source with what is known of its files; what the spec does not set stays unset."""
    given = {name: getattr(source, name) for name in source.model_fields_set - {"synthetic"}}
    return Source(**{**given, **known})


def _inputs(world: World) -> list[Lineage]:
    """What the model that wrote, and what it was asked about, are made from."""
    resolved = world.resolved(STAGE)
    run = resolved.run if resolved else None
    if not isinstance(run, contract.GenerateRun):
        return []
    inputs: list[Input | None] = [run.model, run.seeds.dataset]
    return [one.lineage() for one in inputs if one]
