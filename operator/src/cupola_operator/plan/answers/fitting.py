"""What of a run would fit its budget or deadline: fewer tokens, a smaller model, another pool."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from cupola_api import quantities
from cupola_api.common import Resource
from cupola_api.control import Control
from cupola_api.dataset import Dataset
from cupola_api.finetune import FineTune
from cupola_api.pretrainjob import PretrainJob
from cupola_operator.plan import Refused, pool
from cupola_operator.plan.answers import limits, resources
from cupola_operator.plan.answers.known import Known
from cupola_operator.settings import Pool, Settings

_ROUNDS = 4
_MOST_POOLS = 3
_SAFE = 0.98
"""Of what should just fit, so much is tried next."""


@dataclass(frozen=True)
class Question:
    """A run that exceeds a limit on its pool."""

    resource: Resource
    settings: Settings
    place: Pool
    known: Known
    reason: str
    """The limit that is exceeded, of `limits`."""
    most: Decimal | None = None
    """Money or seconds that the run may take; None: what its spec says."""

    def used(self, resource: Resource) -> float | None:
        """Expected cost or time of such a resource as a share of its limit; None if not known."""
        try:
            found = resources.plan(resource, self.settings.currency, self.place, self.known)
        except Refused:
            return None
        bill = found.bill
        if bill is None or not found.runs:
            return None
        most = self.most or self._said
        if self.reason == limits.BUDGET and most and bill.on_demand:
            return float(bill.on_demand.expected / most)
        if self.reason == limits.DEADLINE and most:
            return bill.wall_clock_hours.expected * 3600 / float(most)
        return None

    @property
    def _said(self) -> Decimal | None:
        """What the spec limits the run to."""
        spec: Control = self.resource.spec
        if self.reason == limits.BUDGET:
            return Decimal(spec.budget.max_cost) if spec.budget else None
        return Decimal(quantities.seconds(spec.deadline)) if spec.deadline else None


def remedies(question: Question) -> str:
    """What to write so that the expected cost or time is within the limit; empty if nothing is found."""
    found: list[str] = []
    match question.resource:
        case PretrainJob():
            found += _pretraining(question, question.resource)
        case FineTune(spec=spec):
            part = _share(
                question, lambda part: _with(question.resource, epochs=spec.epochs * part), power=1
            )
            found += [f"epochs: {_down(spec.epochs * part):g}"] if part else []
    return ", or ".join([*found, *_elsewhere(question)])


def _pretraining(question: Question, resource: PretrainJob) -> Iterator[str]:
    """Fewer tokens; a smaller model on as many tokens a parameter."""
    work = resources.plan(resource, question.settings.currency, question.place, question.known)
    if work.training is None:
        return
    tokens, model = work.training.tokens, resource.spec.model
    part = _share(
        question,
        lambda part: _with(resource, tokens=_count(tokens * part), tokens_per_parameter=None),
        power=1,
    )
    if part:
        yield f"tokens: {_count(tokens * part)}"
    if model.size is None:
        return
    size = quantities.count(model.size)
    ratio = resource.spec.tokens_per_parameter or tokens / work.training.parameters

    def sized(part: float) -> Resource:
        smaller = model.model_copy(update={"size": _count(size * part)})
        return _with(resource, model=smaller, tokens=None, tokens_per_parameter=ratio)

    if part := _share(question, sized, power=2):
        yield f"model.size: {_count(size * part)} on {ratio:.3g} tokens a parameter"


def _share(
    question: Question, change: Callable[[float], Resource], *, power: float
) -> float | None:
    """The largest share that is found to fit of what costs as that power of it."""
    part = 1.0
    for _ in range(_ROUNDS):
        used = question.used(change(part))
        if used is None:
            return None
        if used <= 1:
            return part if part < 1 else None
        part *= _SAFE * used ** (-1 / power)
    return None


def _elsewhere(question: Question) -> list[str]:
    """The same on other pools of the installation."""
    resource, place = question.resource, question.place
    if isinstance(resource, Dataset):
        return []
    found = []
    for one in question.settings.pools:
        if one.name == place.name or one.device is not place.device:
            continue
        try:
            if isinstance(resource, PretrainJob | FineTune):
                layout = resource.spec.parallelism
                wanted = [one.name]
                pool.choose(
                    question.settings, wanted, nodes=layout.nodes, gpus=layout.gpus_per_node
                )
        except Refused:
            continue
        used = replace(question, place=one).used(resource)
        if used is not None and used <= 1:
            found.append(f"pools: [{one.name}]")
    return found[:_MOST_POOLS]


def _with(resource: Resource, **update: object) -> Resource:
    """The resource with other fields of its spec."""
    return resource.model_copy(update={"spec": resource.spec.model_copy(update=update)})


def _count(number: float) -> str:
    """A count as a person writes it: two digits, rounded down; 1 at least."""
    return quantities.people(max(1, int(_down(number))))


def _down(number: float) -> float:
    """Two digits, rounded down."""
    step = Decimal(10) ** (math.floor(math.log10(number)) - 1)
    return float(Decimal(number) // step * step)
