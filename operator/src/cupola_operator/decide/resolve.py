"""Policies: a run is resolved once, into one immutable ConfigMap that all its attempts read."""

from __future__ import annotations

from collections.abc import Callable

from cupola_api import run as contract
from cupola_api.common import Lineage, Phase, RunStatus
from cupola_api.dataset import Dataset, DatasetStatus
from cupola_api.synthetic import Synthetic
from cupola_operator.build import run as build
from cupola_operator.build.configmap import config_map
from cupola_operator.build.synthetic import STAGE, generate_run, synthetic
from cupola_operator.children import Resolved, text_of
from cupola_operator.cost.entries import spent
from cupola_operator.cost.ledger import amount
from cupola_operator.decide import allowance, pools
from cupola_operator.decide.verdict import SOON, Create, Delete, Verdict, stalled
from cupola_operator.plan import Refused
from cupola_operator.plan.answers import limits
from cupola_operator.world import World

LISTING = "list"
"""Of a Dataset's first ConfigMap: what is to be listed. The second holds the curation."""

GENERATION = STAGE
"""Of one before it, of a Dataset with a synthetic source: what a model is to write."""

FIRST = (GENERATION, LISTING)
"""Stages whose runs are resolved before the curation."""


def pretraining(world: World) -> Verdict | None:
    """A PretrainJob is planned: shape, steps, batch, learning rate, layout, pools and their prices.

    From then on a change of the installation's settings or of what it refers to changes nothing.
    A plan that cannot be made is Stalled and says why.
    """
    return _resolve(
        world, contract.PretrainRun, lambda: build.pretrain_run(world, pools.chosen(world))
    )


def tuning(world: World) -> Verdict | None:
    """A FineTune is planned: micro-batch, learning rate, longest example, layout, pool and price."""
    return _resolve(
        world, contract.FineTuneRun, lambda: build.fine_tune_run(world, pools.chosen(world))
    )


def evaluation(world: World) -> Verdict | None:
    """An Evaluation is resolved: the digests of models and data, the pool and its price."""
    return _resolve(
        world, contract.EvaluateRun, lambda: build.evaluate_run(world, pools.chosen(world))
    )


def generation(world: World) -> Verdict | None:
    """Of a Dataset with a synthetic source it is resolved first of all what a model is to write."""
    asked = synthetic(world)
    if asked is None:
        return None
    return _resolve(
        world, contract.GenerateRun, lambda: _generate_run(world, asked), stage=GENERATION
    )


def _generate_run(world: World, asked: Synthetic) -> contract.GenerateRun:
    folder = build.output(world, world.resource_as(Dataset).spec.output)
    return generate_run(world, pools.writing(world, asked), folder)


def listing(world: World) -> Verdict | None:
    """A Dataset is resolved in two steps; first where its sources are, to be listed.

    What a model is to write for it, is written before that.
    """
    if world.status_as(DatasetStatus).synthetic is None and synthetic(world):
        return None
    return _resolve(world, contract.ListRun, lambda: build.list_run(world), stage=LISTING)


def curation(world: World) -> Verdict | None:
    """Then, when the files are listed, how they are curated, and in how many parts."""
    return _resolve(world, contract.CurateRun, lambda: build.curate_run(world))


def recorded(world: World, resolved: Resolved) -> World:
    """The world with the run's start, its digest and what it is made from in status.

    Of a Dataset digest and origin are those of the curation: that of a listing names no artifact.
    """
    run = world.status.run or RunStatus(revision=world.revision)
    update: dict[str, object] = {}
    if not run.started_at:
        before = spent(world.before, resolved.placement.currency)
        run = run.model_copy(
            update={
                "started_at": text_of(world.now),
                "spent_before": amount(before) if before else None,
            }
        )
        update = {"run": run}
    if (
        not isinstance(resolved.run, contract.ListRun | contract.GenerateRun)
        and run.digest != resolved.digest
    ):
        run = run.model_copy(update={"digest": resolved.digest})
        update = {"run": run, "lineage": lineage(resolved.run)}
    if not update:
        return world
    return world.with_status(world.status.model_copy(update=update))


def lineage(
    run: contract.CurateRun | contract.PretrainRun | contract.FineTuneRun | contract.EvaluateRun,
) -> list[Lineage]:
    """What a run reads, each thing once."""
    match run:
        case contract.CurateRun():
            source = Lineage(kind="Source", name="sources", digest=run.listing_digest)
            wrote = [one for s in run.sources if s.made_by for one in s.made_by.inputs]
            return [source, *wrote, *([run.tokenizer.lineage()] if run.tokenizer else [])]
        case contract.PretrainRun():
            inputs: list[contract.Input | None] = [*run.datasets]
        case contract.FineTuneRun():
            inputs = [run.base, run.dataset]
        case contract.EvaluateRun():
            inputs = [run.model, run.compare_to, *(task.dataset for task in run.tasks)]
    return list({(i.kind, i.name): i.lineage() for i in inputs if i}.values())


def _planned(world: World) -> str:
    """What it should take, and which limits that may exceed, as the end of a sentence."""
    plan = world.status.plan
    if plan is None or world.resource is None:
        return ""
    doubts = [*limits.doubted(world.resource.spec, plan), *allowance.doubted(world, plan)]
    said = [limits.spelled(plan), *doubts]
    said = [one for one in said if one]
    return f"; planned: {'; '.join(said)}" if said else ""


def _resolve(
    world: World,
    kind: type[contract.Run],
    make: Callable[[], contract.Run],
    *,
    stage: str | None = None,
) -> Verdict | None:
    name = world.run_name(stage)
    if name in world.runs:
        resolved = world.runs[name]
        if resolved and isinstance(resolved.run, kind):
            return None
        return stalled(
            "RunUnreadable",
            f"ConfigMap {name} does not hold the run that it should; raise spec.revision to "
            "resolve a new one",
        )
    curates = world.key.kind == "Dataset"
    image = world.settings.curator_image if curates else world.settings.trainer_image
    asked = synthetic(world) if stage == GENERATION else None
    if asked and not asked.model.endpoint:
        image = world.settings.trainer_image
    try:
        pool = pools.writing(world, asked) if asked else pools.chosen(world)
        run = make()
        others = pools.others(world, pool) if asked is None else []
    except Refused as refused:
        return stalled(refused.reason, refused.message)
    before = world.status.run.digest if world.status.run else None
    if stage is None and before is not None and before != run.digest:
        verdict = stalled(
            "RunChanged",
            f"ConfigMap {name} is gone, and what revision {world.revision} was resolved from has "
            "changed since; raise spec.revision to start a new run",
        )
        left = [job for job in world.jobs if not (job.deleting or job.complete or job.failed)]
        return verdict._replace(actions=tuple(Delete(job.key, job.uid) for job in left))
    return Verdict(
        Phase.PENDING,
        "Resolving",
        f"revision {world.revision} is resolved into ConfigMap {name}{_planned(world)}",
        actions=(Create(config_map(world, name, run, pool, image, others=others)),),
        again=SOON,
    )
