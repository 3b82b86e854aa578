"""The plan of a FineTune: what tuning all weights, the last blocks or adapters costs.

FLOPs of a token: a forward pass, a backward pass of the same size for the activations, and one for
the weights that are trained. Of tuning the last blocks only, backward goes no further than these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from cupola_api import run as contract
from cupola_api.dataset import DatasetSummary
from cupola_api.finetune import FineTune
from cupola_api.quantities import people
from cupola_operator.plan import pool, schedule
from cupola_operator.plan.anatomy import flops, parameters
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.anatomy.memory import Memory, Precision, memory
from cupola_operator.plan.anatomy.model import Model, of_shape
from cupola_operator.plan.answers import assumed
from cupola_operator.plan.answers import training as training_notes
from cupola_operator.plan.answers.known import Known
from cupola_operator.plan.answers.plan import Option, Plan, Training
from cupola_operator.plan.answers.training import CHECKPOINT_BYTES, UNSAID, Prices
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import bill
from cupola_operator.plan.money.bill import Bill
from cupola_operator.plan.speed import machine
from cupola_operator.plan.speed.hardware import Machine
from cupola_operator.plan.speed.timing import Timed, timed
from cupola_operator.settings import Pool, Settings

LAST_BLOCKS = 0.25
"""The share of the blocks that "the last blocks" are, for comparison: of no run."""

_MILLION = 1_000_000
_USUAL_RANK = 16


@dataclass(frozen=True)
class Way:
    """A way of tuning: what it trains and what a token costs, as a share of tuning all weights."""

    name: str
    trainable: int
    flops: float


def plan(
    resource: FineTune,
    settings: Settings,
    known: Known,
    *,
    wanted: str | None = None,
    prices: Prices = UNSAID,
) -> Plan:
    """The plan of a FineTune. Refuses what would be Stalled."""
    layout = resource.spec.parallelism
    names = [wanted] if wanted else resource.spec.pools
    place = pool.choose(settings, names, nodes=layout.nodes, gpus=layout.gpus_per_node)
    return on_pool(resource, place, settings.currency, known, prices)


def on_pool(
    resource: FineTune, place: Pool, currency: str, known: Known, prices: Prices = UNSAID
) -> Plan:
    """The plan on that pool. Refuses a batch that cannot be shared, and examples that are too long."""
    spec, namespace = resource.spec, resource.metadata.namespace
    there = machine.of_pool(place, currency)
    world = pool.world(spec.parallelism, place)
    found = Plan("FineTune", resource.metadata.name, there, world.size)
    form = known.base_of(spec.base, namespace)
    if form is None:
        note = (
            f"{spec.base.kind} {spec.base.name}, or what it is made from, is not at hand, so what tuning it "
            "costs is not known"
        )
        return replace(found, notes=(note,))
    tuning = _resolved(resource, of_shape(form), there, world, known)
    training = _numbers(tuning, there)
    bills = [_cost(way, tuning, there, prices) for way in tuning.ways]
    chosen = bills[tuning.ways.index(tuning.chosen)]
    notes = training_notes.of_money(there)
    if tuning.tokens is None:
        notes.append(
            f"how many examples Dataset {spec.dataset} will have is known when it is finished, so this "
            "is the price of a million tokens of examples"
        )
    if not training.fits:
        need, have = training.memory.total / 2**30, training.capacity / 2**30
        notes.append(
            f"it does not fit: a rank needs {need:,.1f} GiB and a device ({there.gpu.title}) has "
            f"{have:,.1f} GiB; raise spec.parallelism.zeroStage, or set activationCheckpointing: true"
        )
    paid = chosen if tuning.tokens is not None and training.fits else None
    return replace(
        found,
        runs=training.fits,
        bill=paid,
        training=training,
        options=tuple(
            _option(way, one, tuning) for way, one in zip(tuning.ways, bills, strict=True)
        ),
        notes=tuple(notes),
        assumptions=(*assumed.of(there, paid, training=True), *tuning.assumed),
    )


@dataclass(frozen=True)
class _Tuning:
    """A FineTune as it would run, and the ways of tuning that are compared."""

    model: Model
    layout: Layout
    precision: Precision
    ways: tuple[Way, ...]
    chosen: Way
    tokens: Estimate | None
    """Of all examples and epochs; None while their number is not known."""
    step: Timed
    """Of tuning all weights."""
    assumed: tuple[str, ...]

    @property
    def batch(self) -> int:
        """Tokens a step, if every example is as long as the longest."""
        return self.layout.global_batch * self.model.context


def _resolved(
    resource: FineTune, base: Model, there: Machine, world: contract.World, known: Known
) -> _Tuning:
    """The tuning as `build.run` resolves it."""
    spec = resource.spec
    tuned = schedule.of_tuning(
        spec, context=base.context, base_parameters=parameters.count(base).total, world=world
    )
    model = replace(base, context=tuned.max_length)
    layout = training_notes.layout_of(
        spec.parallelism,
        world,
        micro_batch=tuned.micro_batch,
        sequences=spec.examples_per_step,
    )
    ways = (full(model), last_blocks(model), lora(model, _rank(resource)))
    summary = known.summary(spec.dataset, resource.metadata.namespace)
    amount = _tokens(summary, tuned.max_length, spec.epochs)
    said: list[str] = []
    if summary and amount:
        mean = summary.tokens / summary.documents_kept
        said.append(
            f"an example has {mean:,.0f} tokens, as a document of its Dataset has on average"
        )
    return _Tuning(
        model=model,
        layout=layout,
        precision=spec.precision.value,
        ways=ways,
        chosen=ways[2] if spec.tuning.lora else ways[0],
        tokens=amount,
        step=timed(model, layout, there, spec.precision.value),
        assumed=tuple(said),
    )


def _cost(way: Way, tuning: _Tuning, there: Machine, prices: Prices) -> Bill:
    """The bill of all tokens, or of a million, in one of the ways."""
    tokens = tuning.tokens or Estimate.exactly(_MILLION)
    return bill.of_training(
        tokens * tuning.step.seconds * (way.flops / tuning.batch),
        there,
        tuning.layout.world,
        checkpoint_bytes=CHECKPOINT_BYTES * way.trainable,
        interval=None,
        device_price=prices.device,
        kwh_price=prices.kwh,
    )


def _option(way: Way, costs: Bill, tuning: _Tuning) -> Option:
    """A way of tuning, to compare with."""
    tokens = tuning.tokens.expected if tuning.tokens else _MILLION
    whole = tuning.ways[0].trainable
    return Option(
        what=f"{way.name}, {people(way.trainable)} of {people(whole)} parameters",
        parameters=way.trainable,
        tokens=round(tokens),
        device_hours=costs.device_hours,
        cost=costs.on_demand,
        chosen=way is tuning.chosen,
    )


def full(model: Model) -> Way:
    """Every weight."""
    return Way("all weights", parameters.count(model).total, 1.0)


def last_blocks(model: Model, share: float = LAST_BLOCKS) -> Way:
    """The last blocks and the head: a forward pass through all, backward through these."""
    blocks = max(1, math.ceil(share * model.layers))
    counted = parameters.count(model)
    once = flops.forward(model)
    trained = once.blocks * blocks / model.layers + once.head
    trainable = blocks * parameters.block(model) + (counted.head or counted.embedding)
    return Way(
        f"the last {blocks} blocks", trainable, (once.total + 2 * trained) / (3 * once.total)
    )


def lora(model: Model, rank: int) -> Way:
    """Adapters beside every matrix of the blocks (Hu et al. 2021, arXiv 2106.09685).

    The frozen matrices get no gradients, which saves a third; the adapters' own products are added.
    """
    queries, keys = model.heads * model.head_size, model.kv_heads * model.head_size
    pairs = 2 * (model.hidden + queries) + 2 * (model.hidden + keys)
    pairs += (3 if model.gated else 2) * (model.hidden + model.ffn)
    trainable = model.blocks * rank * pairs
    once = flops.forward(model).total
    added = 2 * trainable * model.context
    return Way(f"LoRA of rank {rank}", trainable, (2 * once + 3 * added) / (3 * once))


def _rank(resource: FineTune) -> int:
    adapters = resource.spec.tuning.lora
    return adapters.rank if adapters else _USUAL_RANK


def _tokens(summary: DatasetSummary | None, longest: int, epochs: float) -> Estimate | None:
    """Tokens of all examples, of a Dataset that is finished.

    An example is taken to be as long as a document of it on average, half as long, or the longest
    that is taken.
    """
    if summary is None or not summary.examples or not summary.documents_kept:
        return None
    mean = min(longest, summary.tokens / summary.documents_kept)
    return Estimate(mean / 2, mean, longest) * (summary.examples * epochs)


def _numbers(tuning: _Tuning, there: Machine) -> Training:
    """The tuning in numbers; of tokens that are not known, those of one step."""
    model, way = tuning.model, tuning.chosen
    total = parameters.count(model).total
    tokens = round(tuning.tokens.expected) if tuning.tokens else tuning.batch
    whole = memory(model, tuning.layout, tuning.precision)
    return Training(
        model=model,
        parameters=total,
        trainable=way.trainable,
        tokens=tokens,
        steps=max(1, math.ceil(tokens / tuning.batch)),
        batch_tokens=tuning.batch,
        flops=round(flops.training(model).total * way.flops * tokens / model.context),
        six_nd=flops.six_n_d(model, tokens),
        precision=tuning.precision,
        layout=tuning.layout,
        memory=_memory(whole, way.trainable / total),
        capacity=there.gpu.memory,
        step={name: seconds * way.flops for name, seconds in tuning.step.parts.items()},
        step_seconds=tuning.step.seconds * way.flops,
        mfu=tuning.step.mfu,
        checkpoint_bytes=CHECKPOINT_BYTES * way.trainable,
        whole=tuning.tokens is not None,
    )


def _memory(whole: Memory, share: float) -> Memory:
    """The memory where only a share of the parameters is trained."""
    return replace(
        whole, gradients=round(whole.gradients * share), optimizer=round(whole.optimizer * share)
    )
