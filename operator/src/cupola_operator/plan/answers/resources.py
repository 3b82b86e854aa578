"""The plan of a resource of any kind on one pool."""

from __future__ import annotations

from cupola_api.common import Resource
from cupola_api.dataset import Dataset
from cupola_api.evaluation import Evaluation
from cupola_api.finetune import FineTune
from cupola_api.pretrainjob import PretrainJob
from cupola_operator.plan.answers import curating, evaluating, pretraining, tuning
from cupola_operator.plan.answers.known import Known
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.settings import Pool


def plan(
    resource: Resource, currency: str, place: Pool, known: Known, *, listed: int | None = None
) -> Plan:
    """The plan, without alternatives. Refuses what would be Stalled.

    `listed`: of a Dataset, the bytes of its source files where they are listed already.
    """
    match resource:
        case PretrainJob():
            return pretraining.on_pool(resource, place, currency, known)
        case FineTune():
            return tuning.on_pool(resource, place, currency, known)
        case Evaluation():
            return evaluating.on_pool(resource, place, currency, known)
        case Dataset():
            return curating.on_pool(resource, place, currency, known, listed=listed)
    raise TypeError(f"{resource.kind} is no kind that is planned")
