"""Policy: the stages of a Dataset, each in attempts, to the published data."""

from __future__ import annotations

from cupola_api.common import Progress
from cupola_api.outcome import Listing, Outcome
from cupola_api.run import CurateRun, ListRun
from cupola_operator.build.job import stage_job
from cupola_operator.children import Resolved
from cupola_operator.decide import admission, finished, forecast, progress, resolve, taken
from cupola_operator.decide.attempts import drive
from cupola_operator.decide.stage import Stage
from cupola_operator.decide.verdict import Verdict
from cupola_operator.world import World

STAGES = {
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

    The listing says how many parts there are; cleaning and tokenising have a pod for each of them,
    deduplicating has one for each eight, up to 64, for ranges of what documents have in common.
    A pod of any stage may find the data of this run published already, and then the Dataset has
    Succeeded at once. If a stage does not find what an earlier one left, because somebody deleted
    it, the stages before it run once more; a pod that finds its part done ends at once.
    """
    for number, name in enumerate(STAGES):
        if name != resolve.LISTING and (verdict := _curation(world)):
            return verdict
        resolved, curation = _resolved(world, name)
        world = resolve.recorded(world, resolved)
        stage = _stage(world, resolved, curation, name)
        step = drive(world, stage)
        world = world.with_status(step.status)
        if step.result:
            world = _learned(world, step.result)
        if step.verdict:
            shown = _progress(world, stage, number)
            status = world.status.model_copy(update={"progress": shown})
            return progress.told(world, step.verdict, status, resolved.placement)
        if world.status.artifact:
            break
    verdict = finished.succeeded(world, world.status)
    verdict = progress.told(world, verdict, world.status, resolved.placement)
    return taken.compared(world, verdict)


def _curation(world: World) -> Verdict | None:
    """The curation is planned by the size of what was listed, kept to its limits, and resolved."""
    world = world if world.is_resolved() else forecast.planned(world)
    verdict = admission.refused(world) or resolve.curation(world)
    listed = world.resolved(resolve.LISTING)
    if verdict and listed:
        return progress.told(world, verdict, world.status, listed.placement)
    return verdict._replace(status=world.status) if verdict else None


def _resolved(world: World, name: str) -> tuple[Resolved, ListRun | CurateRun]:
    """The run that a stage works on. Raises TypeError if there is none."""
    stage = resolve.LISTING if name == resolve.LISTING else None
    resolved = world.resolved(stage)
    if resolved is None or not isinstance(resolved.run, ListRun | CurateRun):
        raise TypeError(f"ConfigMap {world.run_name(stage)} holds no curation")
    return resolved, resolved.run


def _stage(world: World, resolved: Resolved, curation: ListRun | CurateRun, name: str) -> Stage:
    parts = _pods(curation, name)
    at_once = int(world.resource.spec.max_pods) if world.resource else 1
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


def _progress(world: World, stage: Stage, number: int) -> Progress:
    """Stages and, within one, pods that are done."""
    attempts = stage.attempts(world)
    pods = stage.pods(world, attempts[-1]) if attempts else []
    share = sum(pod.succeeded for pod in pods) / max(1, len(pods))
    return Progress(fraction=(number + share) / len(STAGES), stage=stage.label)
