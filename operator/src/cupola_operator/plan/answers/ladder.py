"""A ladder: a few small trainings on the data of a large one, from which its loss is foretold.

Sizes rise by factors of two; each is trained on 10, 20 and 40 tokens a parameter, so that what size
does and what data does can be told apart. The largest size is the one with which all of them together
cost the stated share of the target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from cupola_api import API_VERSION
from cupola_api.common import Metadata
from cupola_api.pretrainjob import PretrainJob
from cupola_api.training import Parallelism
from cupola_operator import labels
from cupola_operator.plan import Refused
from cupola_operator.plan.answers import pretraining
from cupola_operator.plan.answers.known import Known
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.settings import Pool

RATIOS = (10, 20, 40)
"""Tokens a parameter."""

STEP = 2
"""Between two sizes."""

SMALLEST = 50_000
"""Parameters; a smaller model tells nothing."""

_LEAST_STEPS = 50
"""A training of fewer steps has hardly warmed up."""

_ROUNDS = 16
_NAME = 20


@dataclass(frozen=True)
class Rung:
    """A small training."""

    resource: PretrainJob
    plan: Plan

    @property
    def name(self) -> str:
        """Its name."""
        return self.resource.metadata.name

    def manifest(self) -> dict[str, Any]:
        """It as people would write it."""
        metadata = self.resource.metadata
        spec = self.resource.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {
            "apiVersion": API_VERSION,
            "kind": "PretrainJob",
            "metadata": {
                "name": metadata.name,
                "namespace": metadata.namespace,
                "labels": dict(metadata.labels),
            },
            "spec": spec,
        }


@dataclass(frozen=True)
class Ladder:
    """Small trainings, the smallest first, and the one that they are for."""

    name: str
    target: Plan
    rungs: tuple[Rung, ...]

    @property
    def plans(self) -> list[Plan]:
        """Those of the small trainings."""
        return [rung.plan for rung in self.rungs]

    @property
    def share(self) -> float:
        """What they cost together over what the target costs, as expected."""
        return sum(map(_hours, self.plans)) / _hours(self.target)


def ladder(
    resource: PretrainJob,
    place: Pool,
    currency: str,
    known: Known,
    *,
    name: str,
    sizes: int,
    share: float,
) -> Ladder:
    """The ladder of a PretrainJob on a pool, of so many sizes, that costs at most `share` of it.

    Refuses with NothingFits where the target does not fit, and with LadderTooSmall where no useful
    models are that cheap.
    """
    target = pretraining.on_pool(resource, place, currency, known)
    if target.training is None or target.bill is None:
        raise Refused("NothingFits", target.notes[0])

    @cache
    def rungs(top: int) -> tuple[Rung, ...] | None:
        found = [
            _rung(resource, place, currency, known, ladder=name, size=size, ratio=ratio)
            for size in _sizes(top, sizes)
            for ratio in RATIOS
        ]
        kept = tuple(rung for rung in found if rung)
        return kept if len(kept) == sizes * len(RATIOS) else None

    low, high = math.log(SMALLEST), math.log(target.training.parameters / STEP)
    best: tuple[Rung, ...] | None = None
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        found = rungs(_round(math.exp(middle)))
        cheap = found is None or sum(_hours(one.plan) for one in found) <= share * _hours(target)
        if found and cheap:
            best = found
        if cheap:  # also where it is too small to be planned
            low = middle
        else:
            high = middle
    if best is None:
        raise Refused(
            "LadderTooSmall",
            f"no ladder of {sizes} sizes costs {share:.0%} of the target or less: its smallest useful "
            "trainings take longer; write a larger --share, or fewer --sizes",
        )
    return Ladder(name, target, best)


def _hours(plan: Plan) -> float:
    """Device hours: on one pool money is in proportion to them."""
    return plan.bill.device_hours.expected if plan.bill else math.inf


def _sizes(top: int, count: int) -> list[int]:
    return [_round(top / STEP**power) for power in reversed(range(count))]


def _round(size: float) -> int:
    """To two digits."""
    return int(float(f"{size:.2g}"))


def _rung(
    resource: PretrainJob,
    place: Pool,
    currency: str,
    known: Known,
    *,
    ladder: str,
    size: int,
    ratio: int,
) -> Rung | None:
    """A training of that size; None where none makes sense."""
    if size < SMALLEST:
        return None
    spec, metadata = resource.spec, resource.metadata
    model = spec.model.model_copy(update={"size": str(size), "shape": None})
    small = spec.model_copy(
        update={
            "model": model,
            "tokens": None,
            "tokens_per_parameter": float(ratio),
            "parallelism": Parallelism(gpus_per_node=spec.parallelism.gpus_per_node),
            "schedule": spec.schedule.model_copy(update={"learning_rate": None}),
            **dict.fromkeys(("batch", "budget", "deadline", "output")),
            "revision": 1,
            "suspend": False,
        }
    )
    one = PretrainJob(
        api_version=API_VERSION,
        kind="PretrainJob",
        metadata=Metadata(
            name=f"{ladder[:_NAME].strip('-')}-{_short(size)}-{ratio}",
            namespace=metadata.namespace,
            labels={labels.LADDER: ladder},
        ),
        spec=small,
    )
    try:
        found = pretraining.on_pool(one, place, currency, known)
    except Refused:
        return None
    if found.training is None or found.bill is None or found.training.steps < _LEAST_STEPS:
        return None
    return Rung(one, found)


def _short(size: int) -> str:
    """A size as a part of a name: `1200k`."""
    return f"{size // 1000}k" if size < 10**8 else f"{size // 10**6}m"
