"""Policy: the stages of a Dataset, each in attempts, to the published data."""

from __future__ import annotations

from collections.abc import Sequence

from cupola_api.outcome import Listing, Outcome
from cupola_api.run import CurateRun, GenerateRun, ListRun
from cupola_operator.build import synthetic
from cupola_operator.build.job import generate_job, stage_job
from cupola_operator.children import Resolved
from cupola_operator.decide import admission, curated, finished, forecast, progress, resolve, taken
from cupola_operator.decide.attempts import drive
from cupola_operator.decide.stage import Stage
from cupola_operator.decide.verdict import Verdict
from cupola_operator.world import World

STAGES = {
    "generate": "Generating",
    "list": "Listing",
    "clean": "Cleaning",
    "dedup": "Deduplicating",
    "tokenise": "Tokenising",
    "publish": "Publishing",
}
"""In order, with the reason while each runs."""

MISSING = "StageMissing"
"""What a pod says that does not find what an earlier stage left."""


def run(world: World) -> Verdict:
    """A Dataset is listed, cleaned, deduplicated, tokenised and published, a Job each.

    Before that a model writes its synthetic source, if it has one: a pod for each 2,000 answers.
    The listing says how many parts there are; cleaning and tokenising have a pod for each of them,
    deduplicating has one for each eight, up to 64, for ranges of what documents have in common.
    A pod of any stage may find the data of this run published already, and then the Dataset has
    Succeeded at once. If a stage does not find what an earlier one left, because somebody deleted
    it, the stages before it run once more; a pod that finds its part done ends at once.
    """
    stages = _stages(world)
    for number, name in enumerate(stages):
        if verdict := _resolving(world, name):
            return verdict
        resolved, curation = _resolved(world, name)
        world = resolve.recorded(world, resolved)
        stage = _stage(world, resolved, curation, name)
        step = drive(world, stage)
        world = world.with_status(step.status)
        if step.result:
            world = _learned(world, step.result)
        if step.verdict:
            shown = curated.progress(world, stage, number / len(stages), 1 / len(stages))
            status = world.status.model_copy(update={"progress": shown})
            return progress.told(world, step.verdict, status, resolved.placement)
        if world.status.artifact:
            break
    verdict = finished.succeeded(world, world.status)
    verdict = progress.told(world, verdict, world.status, resolved.placement)
    return taken.compared(world, verdict)


_PLAIN = tuple(STAGES)[1:]


def _stages(world: World) -> Sequence[str]:
    """The stages of this Dataset: the first one is of a synthetic source."""
    return tuple(STAGES) if synthetic.synthetic(world) else _PLAIN


def _resolving(world: World, name: str) -> Verdict | None:
    """What a stage works on becomes a run, if it is not one yet; the first stage's was made before."""
    if name not in resolve.FIRST:
        return _curation(world)
    before = world.resolved(resolve.GENERATION)
    if name == resolve.GENERATION or before is None:
        return None
    verdict = resolve.listing(world)
    return progress.told(world, verdict, world.status, before.placement) if verdict else None


def _curation(world: World) -> Verdict | None:
    """The curation is planned by the size of what was listed, kept to its limits, and resolved."""
    world = world if world.is_resolved() else forecast.planned(world)
    verdict = admission.refused(world) or resolve.curation(world)
    listed = world.resolved(resolve.LISTING)
    if verdict and listed:
        return progress.told(world, verdict, world.status, listed.placement)
    return verdict._replace(status=world.status) if verdict else None


def _resolved(world: World, name: str) -> tuple[Resolved, GenerateRun | ListRun | CurateRun]:
    """The run that a stage works on. Raises TypeError if there is none."""
    stage = name if name in resolve.FIRST else None
    resolved = world.resolved(stage)
    if resolved is None or not isinstance(resolved.run, GenerateRun | ListRun | CurateRun):
        raise TypeError(f"ConfigMap {world.run_name(stage)} holds no curation")
    return resolved, resolved.run


def _stage(
    world: World, resolved: Resolved, curation: GenerateRun | ListRun | CurateRun, name: str
) -> Stage:
    at_once = int(world.resource.spec.max_pods) if world.resource else 1
    if isinstance(curation, GenerateRun):
        return _generating(world, resolved, curation, at_once)
    parts = _pods(curation, name)
    return Stage(
        label=name,
        reason=STAGES[name],
        resolved=resolved,
        make=lambda number: stage_job(
            world, resolved, stage=name, attempt=number, parts=parts, at_once=at_once
        ),
        done=_lists if name == resolve.LISTING else _publishes,
        silent=name not in (resolve.LISTING, "publish"),
        devices=min(parts, at_once),
        parts=parts,
        repeat=_missed(world, name),
        recorded=name,
    )


def _generating(world: World, resolved: Resolved, run: GenerateRun, pods: int) -> Stage:
    asked = synthetic.synthetic(world)
    at_once = synthetic.at_once(asked, pods) if asked else 1
    name = resolve.GENERATION
    return Stage(
        label=name,
        reason=STAGES[name],
        resolved=resolved,
        make=lambda number: generate_job(world, resolved, run, attempt=number, at_once=at_once),
        done=lambda said: said.synthetic is not None,
        devices=min(run.shares, at_once),
        parts=run.shares,
        repeat=_missed(world, name),
        recorded=name,
    )


def _pods(curation: ListRun | CurateRun, name: str) -> int:
    """How many pods a stage has: one for each part of the listing, or range of `dedup`, or one."""
    if isinstance(curation, CurateRun) and name in ("clean", "tokenise"):
        return curation.parts
    return curation.ranges if isinstance(curation, CurateRun) and name == "dedup" else 1


def _missed(world: World, name: str) -> bool:
    """Whether a later stage missed the output of this one after it succeeded."""
    order = list(STAGES)
    for attempt in reversed(world.status.attempts):
        if attempt.stage == name:
            return False
        if attempt.reason == MISSING and attempt.stage in order[order.index(name) + 1 :]:
            return True
    return False


def _lists(outcome: Outcome) -> bool:
    return outcome.listing is not None or _publishes(outcome)


def _publishes(outcome: Outcome) -> bool:
    return outcome.artifact is not None and outcome.dataset is not None


def _learned(world: World, result: Outcome) -> World:
    """The world with what a stage said at its end: the listing, or the published data."""
    update: dict[str, object] = {}
    if result.synthetic:
        update |= {"synthetic": result.synthetic}
    if isinstance(result.listing, Listing):
        update |= {
            "listing": result.listing.uri,
            "inputs_digest": result.listing.digest,
            "input_bytes": result.listing.bytes,
            "parts": result.listing.parts,
        }
    if _publishes(result):
        update |= {"artifact": result.artifact, "summary": result.dataset}
    return world.with_status(world.status.model_copy(update=update))
