"""The plan of a PretrainJob: the run that its spec resolves to, on the pool where it would run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cupola_api import quantities
from cupola_api.pretrainjob import PretrainJob, PretrainJobSpec
from cupola_operator.plan import Refused, pool, schedule
from cupola_operator.plan.anatomy.model import of_shape
from cupola_operator.plan.answers import better, training
from cupola_operator.plan.answers.known import USUAL_VOCABULARY, Known
from cupola_operator.plan.answers.plan import Alternative, Plan
from cupola_operator.plan.answers.training import UNSAID, Prices, Work
from cupola_operator.plan.speed import machine
from cupola_operator.settings import Pool, Settings

_MATTERS = 0.01
"""Share of the time that is worth a note."""


def plan(
    resource: PretrainJob,
    settings: Settings,
    known: Known,
    *,
    wanted: str | None = None,
    prices: Prices = UNSAID,
) -> Plan:
    """The plan of a PretrainJob; `wanted`: on that pool instead of the one of its spec.

    Refuses what would be Stalled: a pool that is not there or too small, a size that no shape has.
    """
    spec = resource.spec
    layout = spec.parallelism
    names = [wanted] if wanted else spec.pools
    place = pool.choose(settings, names, nodes=layout.nodes, gpus=layout.gpus_per_node)
    found, work = _planned(resource, place, settings.currency, known, prices)
    others: list[Alternative] = []
    if found.runs:
        others = [*better.layouts(work, found), *_pools(resource, settings, known, place)]
    return replace(found, alternatives=(*found.alternatives, *others))


def on_pool(resource: PretrainJob, place: Pool, currency: str, known: Known) -> Plan:
    """The plan on that pool alone: without alternatives, and whatever its budget is."""
    return _planned(resource, place, currency, known, UNSAID)[0]


def _planned(
    resource: PretrainJob, place: Pool, currency: str, known: Known, prices: Prices
) -> tuple[Plan, Work]:
    spec = resource.spec
    work, certain = _work(resource, currency, known, place)
    found = training.plan(work, prices)
    notes = [*found.notes]
    if not found.runs:
        notes[0] = f"{notes[0]}; {better.remedy(work)}"
    if not certain:
        notes.append(
            f"Dataset {spec.datasets[0].name} is not at hand, so its tokenizer is taken to have "
            f"{USUAL_VOCABULARY:,} entries"
        )
    return replace(found, notes=(*notes, *_saves(spec, work, found))), work


def _work(resource: PretrainJob, currency: str, known: Known, place: Pool) -> tuple[Work, bool]:
    """The training as `build.run` resolves it, and whether its vocabulary is certain."""
    spec, namespace = resource.spec, resource.metadata.namespace
    form, certain = known.shape_of(spec, namespace)
    world = pool.world(spec.parallelism, place)
    planned = schedule.of_pretraining(spec, form, world)
    work = Work(
        kind="PretrainJob",
        name=resource.metadata.name,
        model=of_shape(form),
        layout=training.layout_of(
            spec.parallelism,
            world,
            micro_batch=planned.micro_batch,
            sequences=planned.sequences_per_step,
        ),
        machine=machine.of_pool(place, currency),
        steps=planned.steps,
        precision=spec.precision.value,
        interval=float(max(1, quantities.seconds(spec.checkpoint.every))),
        shares=[
            (share.name, summary.tokens if summary else None, share.weight)
            for share in spec.datasets
            for summary in [known.summary(share.name, namespace)]
        ],
        law=known.law,
    )
    return work, certain


def _pools(
    resource: PretrainJob, settings: Settings, known: Known, chosen: Pool
) -> Iterator[Alternative]:
    """The same on the other pools of the installation, and why they are not taken."""
    layout = resource.spec.parallelism
    for one in settings.pools:
        if one.name == chosen.name or one.device is not chosen.device:
            continue
        what = f"pool {one.name}"
        try:
            place = pool.choose(settings, [one.name], nodes=layout.nodes, gpus=layout.gpus_per_node)
            work, _ = _work(resource, settings.currency, known, place)
        except Refused as refused:
            yield Alternative(what, refused.message)
            continue
        if resource.spec.pools:
            reason = "spec.pools does not name it first"
        else:
            reason = (
                f"what a device hour of it costs is not known, and in pool {chosen.name} it is"
                if one.price is None and chosen.price is not None
                else f"a device hour costs more than in pool {chosen.name}"
            )
        yield training.alternative(what, reason, work)


def _saves(spec: PretrainJobSpec, work: Work, found: Plan) -> Iterator[str]:
    """That another time between checkpoints would lose less, where that matters."""
    if not (found.training and found.bill and found.bill.reliability):
        return
    best = training.billed(found.training, replace(work, interval=None))
    if not best.reliability:
        return
    now, then = found.bill.reliability.goodput.ends, best.reliability.goodput.ends
    lost = [more - less for more, less in zip(then, now, strict=True)]
    if lost[1] > _MATTERS:
        low, expected, high = (_written(end) for end in best.reliability.interval.ends)
        yield (
            f"spec.checkpoint.every of {spec.checkpoint.every} costs {lost[1]:.0%} ({min(lost):.0%} to "
            f"{max(lost):.0%}) of the time more than {expected}, the best one ({low} to {high}), would"
        )


def _written(seconds: float) -> str:
    """A length of time as a person writes it in a spec: minutes, or hours from two on."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes}m" if minutes < 120 else f"{round(minutes / 60)}h"
