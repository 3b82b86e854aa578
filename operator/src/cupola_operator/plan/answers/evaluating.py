"""The plan of an Evaluation: the tasks whose size its spec says, at the rate of the roofline.

Scoring text is a forward pass over it. Writing answers is a pass for each token (`writing`).
"""

from __future__ import annotations

import math
from dataclasses import replace

from cupola_api.evaluation import Evaluation, EvaluationTask
from cupola_operator.plan import pool
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.anatomy.model import Model, of_shape
from cupola_operator.plan.answers import assumed, training, writing
from cupola_operator.plan.answers.known import Known
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import bill
from cupola_operator.plan.speed import machine
from cupola_operator.plan.speed.hardware import Machine
from cupola_operator.plan.speed.timing import timed
from cupola_operator.settings import Device, Pool, Settings

ANSWERS_AT_ONCE = 32
"""Answers that the trainer lets a model write side by side."""

REACHED = Estimate(1.0, 1.5, 3.0)
"""Time of a token that is written, over that of its bytes or its products: an assumption."""

PER_BLOCK = Estimate(0.5e-3, 1e-3, 2e-3)
"""Seconds that a block takes at least for a token, as its kernels are started one by one.

High: measured with Transformers on one core (eight blocks of width 160, 32 answers at once).
"""


def plan(
    resource: Evaluation, settings: Settings, known: Known, *, wanted: str | None = None
) -> Plan:
    """The plan of an Evaluation. Refuses what would be Stalled."""
    place = pool.choose(settings, [wanted] if wanted else resource.spec.pools)
    return on_pool(resource, place, settings.currency, known)


def on_pool(resource: Evaluation, place: Pool, currency: str, known: Known) -> Plan:
    """The plan on that pool."""
    spec, namespace = resource.spec, resource.metadata.namespace
    there = machine.of_pool(place, currency)
    devices = place.gpus_per_node if place.device is Device.CPU else 1
    found = Plan("Evaluation", resource.metadata.name, there, devices)
    form = known.base_of(spec.model, namespace)
    if form is None:
        note = (
            f"{spec.model.kind} {spec.model.name}, or what it is made from, is not at hand, so what "
            "measuring it costs is not known"
        )
        return replace(found, notes=(note,))
    model = of_shape(form)
    models = 2 if spec.compare_to else 1
    seconds, notes, certain = Estimate.exactly(0), [], False
    for task in spec.tasks:
        one, why = _seconds(task, model, there, known, namespace)
        if one is None:
            notes.append(f"task {task.name}: {why}; it is not in the plan")
        else:
            seconds, certain = seconds + one * models, True
    notes += training.of_money(there)
    costs = bill.of_job(seconds * (1 / devices), there, devices) if certain else None
    said = assumed.of(there, costs, training=False)
    if costs:
        low, middle, high = (1e3 * value for value in PER_BLOCK.ends)
        said.append(f"a block takes {middle:g} ms ({low:g} to {high:g}) for a token at least")
    return replace(found, bill=costs, notes=tuple(notes), assumptions=tuple(said))


def _seconds(
    task: EvaluationTask, model: Model, there: Machine, known: Known, namespace: str
) -> tuple[Estimate | None, str]:
    """Device seconds of a task for one model, or why they are not known."""
    if task.perplexity:
        summary = known.summary(task.perplexity.dataset, namespace)
        if summary is None:
            return None, f"how much Dataset {task.perplexity.dataset} holds out is not known yet"
        most = task.perplexity.limit * model.context
        return _scored(model, there) * min(summary.validation_tokens, most), ""
    if task.python_function:
        answers = task.python_function.limit
        rounds = math.ceil(answers / ANSWERS_AT_ONCE)
        return _written(model, there) * (rounds * task.python_function.max_new_tokens), ""
    return (
        None,
        "how many questions a harness task has is in its data, which the plan does not read",
    )


def _scored(model: Model, there: Machine) -> Estimate:
    """Seconds to score a token on one device: a third of a training step's passes."""
    step = timed(model, Layout(micro_batch=1), there, "BF16")
    passes = step.parts["compute"] + step.parts["memory_bound"]
    return passes * (1 / 3 / model.context)


def _written(model: Model, there: Machine) -> Estimate:
    """Seconds to write one token of a batch of answers on one device; what they hold is not known."""
    once = writing.seconds(model, there, sequences=ANSWERS_AT_ONCE)
    return REACHED * once + PER_BLOCK * model.blocks
