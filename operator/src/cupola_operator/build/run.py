"""Resolved run specs: what a person wrote and what it refers to, every default filled in."""

from __future__ import annotations

from cupola_api import quantities
from cupola_api import run as contract
from cupola_api.common import ModelReference
from cupola_api.dataset import (
    AnySource,
    Dataset,
    DatasetSpec,
    DatasetStatus,
    NamedFile,
    Source,
    TokenizerAlgorithm,
)
from cupola_api.evaluation import Evaluation, EvaluationTask
from cupola_api.finetune import FineTune, FineTuneSpec, FineTuneStatus
from cupola_api.mixing import Mixing
from cupola_api.pretrainjob import PretrainJob, PretrainJobSpec, PretrainJobStatus
from cupola_api.run import Hyperparameters, Input
from cupola_api.training import ModelSummary, Optimizer
from cupola_operator.build.job import evaluation_gpus
from cupola_operator.build.synthetic import files, written
from cupola_operator.cluster import Key
from cupola_operator.plan import Refused, schedule, shape
from cupola_operator.plan import pool as pools
from cupola_operator.resources import Reference, key_of_model, origin
from cupola_operator.settings import Pool
from cupola_operator.world import World


def list_run(world: World) -> contract.ListRun:
    """The listing of a Dataset's sources."""
    spec = world.resource_as(Dataset).spec
    return contract.ListRun(
        namespace=world.key.namespace,
        name=world.key.name,
        output=output(world, spec.output),
        sources=[
            source.model_copy(update={"weight": None})  # another weight changes no listing
            for source in _sources(world, spec.sources)
        ],
        files=_files(world) or None,
    )


def curate_run(world: World) -> contract.CurateRun:
    """The curation of what was listed; status holds the listing. Refuses without one."""
    spec = world.resource_as(Dataset).spec
    status = world.status_as(DatasetStatus)
    if status.listing is None or status.inputs_digest is None or status.parts is None:
        raise Refused("NotListed", "the listing is not in status any more; raise spec.revision")
    choice = spec.tokenizer
    return contract.CurateRun(
        namespace=world.key.namespace,
        name=world.key.name,
        output=output(world, spec.output),
        sources=_sources(world, spec.sources),
        listing=status.listing,
        listing_digest=status.inputs_digest,
        parts=status.parts,
        curation=spec.curation.resolved(world.settings.resolve),
        vocab_size=choice.train.vocab_size if choice.train else None,
        algorithm=choice.train.algorithm if choice.train else TokenizerAlgorithm.BPE,
        tokenizer_file=_tokenizer_file(world),
        tokenizer=_dataset(world, choice.dataset).input() if choice.dataset else None,
        task=spec.task,
        validation=spec.validation,
        seed=spec.seed,
        documents=spec.keep_documents,
        mixing=_mixing(spec),
    )


def pretrain_run(world: World, pool: Pool) -> contract.PretrainRun:
    """A pretraining, planned: shape, schedule, layout."""
    spec = world.resource_as(PretrainJob).spec
    inputs = [
        contract.WeightedInput(
            **_dataset(world, share.name).input().model_dump(), weight=share.weight
        )
        for share in spec.datasets
    ]
    form = shape.of_spec(spec.model, vocabulary=_vocabulary(_dataset(world, spec.datasets[0].name)))
    layout = pools.world(spec.parallelism, pool)
    plan = schedule.of_pretraining(spec, form, layout)
    return contract.PretrainRun(
        namespace=world.key.namespace,
        name=world.key.name,
        output=output(world, spec.output),
        datasets=inputs,
        order=contract.ORDER,
        attention=spec.model.attention,
        shape=form,
        steps=plan.steps,
        sequences_per_step=plan.sequences_per_step,
        micro_batch=plan.micro_batch,
        hyperparameters=_hyperparameters(
            spec, spec.optimizer, plan.learning_rate, plan.warmup_steps
        ),
        world=layout,
        zero_stage=spec.parallelism.zero_stage,
        activation_checkpointing=spec.parallelism.activation_checkpointing,
        checkpoint_seconds=max(1, quantities.seconds(spec.checkpoint.every)),
        checkpoint_keep=spec.checkpoint.keep,
    )


def fine_tune_run(world: World, pool: Pool) -> contract.FineTuneRun:
    """A fine-tuning, planned."""
    spec = world.resource_as(FineTune).spec
    base = world.references[key_of_model(spec.base, world.key.namespace)]
    layout = pools.world(spec.parallelism, pool)
    model = model_summary(base)
    plan = schedule.of_tuning(
        spec,
        context=_context(world, spec.base),
        base_parameters=model.parameters if model else None,
        world=layout,
    )
    return contract.FineTuneRun(
        namespace=world.key.namespace,
        name=world.key.name,
        output=output(world, spec.output),
        base=base.input(),
        dataset=_dataset(world, spec.dataset).input(),
        tuning=spec.tuning,
        epochs=spec.epochs,
        examples_per_step=spec.examples_per_step,
        micro_batch=plan.micro_batch,
        max_length=plan.max_length,
        warmup_ratio=spec.schedule.warmup,
        # Steps follow from examples that only the pod can count, hence a ratio and no steps.
        hyperparameters=_hyperparameters(spec, Optimizer(), plan.learning_rate, 0),
        world=layout,
        zero_stage=spec.parallelism.zero_stage,
        activation_checkpointing=spec.parallelism.activation_checkpointing,
        checkpoint_seconds=max(1, quantities.seconds(spec.checkpoint.every)),
        checkpoint_keep=spec.checkpoint.keep,
    )


def evaluate_run(world: World, pool: Pool) -> contract.EvaluateRun:
    """An evaluation with the models and data it reads."""
    spec = world.resource_as(Evaluation).spec

    def model(reference: ModelReference) -> Input:
        return world.references[key_of_model(reference, world.key.namespace)].input()

    return contract.EvaluateRun(
        namespace=world.key.namespace,
        name=world.key.name,
        output=output(world, spec.output),
        model=model(spec.model),
        compare_to=model(spec.compare_to) if spec.compare_to else None,
        tasks=[_task(world, task) for task in spec.tasks],
        seed=spec.seed,
        threads=evaluation_gpus(pool) * pool.threads_per_gpu,
        device=pool.device.value,
    )


def output(world: World, uri: str | None) -> str:
    """The folder of the resource: `<output or store>/<namespace>/<kind>/<name>`."""
    base = world.settings.resolve(uri or "store:///").rstrip("/")
    return f"{base}/{world.key.namespace}/{world.key.kind.lower()}/{world.key.name}"


def model_summary(reference: Reference) -> ModelSummary | None:
    """The figures of the model that a PretrainJob or FineTune made."""
    status = reference.status
    return status.model if isinstance(status, PretrainJobStatus | FineTuneStatus) else None


def _dataset(world: World, name: str) -> Reference:
    return world.references[Key("Dataset", world.key.namespace, name)]


def _vocabulary(reference: Reference) -> int:
    """Entries of a Dataset's tokenizer. Raises ValueError if it is not finished."""
    if not isinstance(reference.status, DatasetStatus) or reference.status.summary is None:
        raise ValueError(f"{reference.key} has no summary")
    return reference.status.summary.vocabulary


def _files(world: World) -> list[NamedFile]:
    """What curation reads besides the sources: block-lists, benchmarks, a tokenizer."""
    curation = world.resource_as(Dataset).spec.curation.resolved(world.settings.resolve)
    file = _tokenizer_file(world)
    return [*curation.files(), *([file] if file else [])]


def _mixing(spec: DatasetSpec) -> Mixing | None:
    """How sources are mixed; None where each gives what it has."""
    if spec.mixing is None and all(source.weight is None for source in spec.sources):
        return None
    return spec.mixing or Mixing()


def _tokenizer_file(world: World) -> NamedFile | None:
    uri = world.resource_as(Dataset).spec.tokenizer.uri
    return NamedFile(name="tokenizer", uri=world.settings.resolve(uri)) if uri else None


def _sources(world: World, sources: list[AnySource]) -> list[Source]:
    """Sources with their resolved places; what a model wrote lies in files by now."""
    return [written(world, one) if one.synthetic else files(world.settings, one) for one in sources]


def _task(world: World, task: EvaluationTask) -> contract.ResolvedTask:
    data = task.perplexity or task.python_function
    return contract.ResolvedTask(
        task=task,
        dataset=_dataset(world, data.dataset).input() if data else None,
        folder=world.settings.resolve(task.harness.data) if task.harness else None,
    )


def _hyperparameters(
    spec: PretrainJobSpec | FineTuneSpec,
    optimizer: Optimizer,
    learning_rate: float,
    warmup_steps: int,
) -> Hyperparameters:
    return Hyperparameters(
        optimizer=optimizer,
        learning_rate=learning_rate,
        warmup_steps=warmup_steps,
        final_ratio=spec.schedule.final,
        weight_decay=spec.weight_decay,
        gradient_clipping=spec.gradient_clipping,
        precision=spec.precision,
        seed=spec.seed,
    )


def _context(world: World, base: ModelReference) -> int:
    """The context of a model: that of the PretrainJob which its chain of bases goes back to."""
    first, key = origin(base, world.key.namespace, world.references)
    if first:
        return first.spec.model.context
    raise Refused(
        "ContextUnknown",
        f"spec.base: the context of the base model is not known, as {key} which it goes back to "
        "is not there; create it again",
    )
