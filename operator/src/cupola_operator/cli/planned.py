"""From files and a work directory to plans: each resource with what is known of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cupola_api.common import Resource
from cupola_api.dataset import Dataset
from cupola_api.evaluation import Evaluation
from cupola_api.finetune import FineTune
from cupola_api.pretrainjob import PretrainJob
from cupola_operator.cli.load import Manifest
from cupola_operator.cli.workdir import Workdir
from cupola_operator.cluster import Key, key_of
from cupola_operator.plan import Refused
from cupola_operator.plan.answers import (
    curating,
    evaluating,
    forecast,
    limits,
    pretraining,
    tuning,
)
from cupola_operator.plan.answers.known import Known
from cupola_operator.plan.answers.loss import Own
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.plan.answers.training import UNSAID, Prices
from cupola_operator.resources import STATUS, Reference, reference_of
from cupola_operator.settings import Pool, Settings

__all__ = ["NotPlanned", "Pool", "of_manifests"]


class NotPlanned(Exception):
    """Resources that cannot be planned; a sentence for each."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = list(sentences)


def of_manifests(
    manifests: Sequence[Manifest],
    settings: Settings,
    workdir: Path,
    *,
    wanted: str | None = None,
    prices: Prices = UNSAID,
    law: Own | None = None,
) -> list[Plan]:
    """A plan for each resource. Raises NotPlanned with why for all that have none, and MirrorBroken."""
    known = replace(known_of(manifests, workdir), law=law)
    plans, wrong = [], []
    for manifest in manifests:
        try:
            found = _plan(manifest.resource, settings, known, wanted, prices)
            said = limits.warnings(manifest.resource.spec, forecast.of(found))
            plans.append(replace(found, notes=(*found.notes, *said)))
        except Refused as refused:
            name = f"{manifest.resource.kind}/{manifest.resource.metadata.name}"
            wrong.append(f"{manifest.path}:{manifest.line} {name}: {refused.message}")
    if wrong:
        raise NotPlanned(wrong)
    return plans


def _plan(
    resource: Resource, settings: Settings, known: Known, wanted: str | None, prices: Prices
) -> Plan:
    match resource:
        case PretrainJob():
            return pretraining.plan(resource, settings, known, wanted=wanted, prices=prices)
        case FineTune():
            return tuning.plan(resource, settings, known, wanted=wanted, prices=prices)
        case Evaluation():
            return evaluating.plan(resource, settings, known, wanted=wanted)
        case Dataset():
            return curating.plan(resource, settings, known, wanted=wanted)
    raise TypeError(f"{resource.kind} is no kind that is planned")


def known_of(manifests: Sequence[Manifest], workdir: Path) -> Known:
    """What the files say; where the work directory has a resource, its status, and others besides."""
    found: dict[Key, Reference] = {}
    if (workdir / "objects").is_dir():
        folder = Workdir(workdir)
        spaces = {manifest.resource.metadata.namespace for manifest in manifests}
        for kind in STATUS:
            for space in spaces:
                for value in folder.objects(kind, space):
                    key = key_of(value)
                    found[key] = reference_of(key, value)
    for manifest in manifests:
        one = manifest.resource
        key = Key(one.kind, one.metadata.namespace, one.metadata.name)
        there = found.get(key)
        status = one.status or (there.status if there else STATUS[one.kind]())
        found[key] = Reference(key, one, status)
    return Known(found)
