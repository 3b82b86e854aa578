"""The plan of a Dataset: what a gigabyte of text costs; how many there are only a listing tells."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from cupola_api.dataset import Dataset, DatasetSummary
from cupola_operator.plan import pool
from cupola_operator.plan.answers import assumed, training, written
from cupola_operator.plan.answers.data import BYTES_PER_TOKEN
from cupola_operator.plan.answers.known import Known
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import bill
from cupola_operator.plan.money.bill import Bill
from cupola_operator.plan.speed import machine
from cupola_operator.plan.speed.hardware import Machine
from cupola_operator.settings import Pool, Settings

BYTES_A_SECOND = Estimate(0.6e6, 1.2e6, 2.4e6)
"""Text that a slot of one thread curates.

Expected: measured on 75 MB of Python source in JSON lines, all stages with quality, PII and dedup
on, a tokenizer of 32,000 trained: 60.6 s of CPU. Half and twice as many, as text, rules and cores
differ.
"""

GB = 1e9

TEXT_OF_FILES = Estimate(0.5, 1.0, 4.0)
"""Bytes of text in a byte of a source file: less where records have other fields, more where it is
compressed. An assumption."""


def plan(resource: Dataset, settings: Settings, known: Known, *, wanted: str | None = None) -> Plan:
    """The plan of a Dataset. Refuses a pool that is not there."""
    place = pool.choose(settings, [wanted or settings.data_pool])
    return on_pool(resource, place, settings.currency, known)


def on_pool(
    resource: Dataset, place: Pool, currency: str, known: Known, *, listed: int | None = None
) -> Plan:
    """The plan on that pool. `listed`: bytes of its source files, where they are listed already."""
    there = machine.of_pool(place, currency)
    slots = min(resource.spec.max_pods, there.world)
    name, namespace = resource.metadata.name, resource.metadata.namespace
    read = _read(known.counted(name, namespace)) if listed is None else TEXT_OF_FILES * listed
    each = of_bytes(Estimate.exactly(GB), there, 1, place.threads_per_gpu)
    said = f"a GB of text takes {_few(each.device_hours.ends)} slot hours"
    if cost := each.on_demand:
        said += f", {_few((cost.low, cost.expected, cost.high))} {cost.currency}"
    whole = None
    notes = [f"how much text its sources hold is known when they are listed; {said}"]
    taken = [
        f"a thread curates {_few([value / 1e6 for value in BYTES_A_SECOND.ends])} MB of text a second"
    ]
    if read is not None:
        whole = of_bytes(read, there, slots, place.threads_per_gpu)
        notes = [f"{said}; its sources are taken to hold as much as when they were read last"]
        if listed is not None:
            share = _few(TEXT_OF_FILES.ends)
            notes = [
                f"{said}; its {listed / GB:.3g} GB of files are taken to hold {share} times as much text"
            ]
        taken += assumed.of(there, whole, training=False)
    return Plan(
        "Dataset",
        name,
        there,
        slots,
        bill=whole,
        notes=(*notes, *written.notes(resource, currency), *training.of_money(there)),
        assumptions=tuple(taken),
    )


def _read(summary: DatasetSummary | None) -> Estimate | None:
    """Bytes of text that went in, by the tokens and the share of documents that stayed."""
    if summary is None or not summary.documents_kept:
        return None
    tokens = summary.tokens + summary.validation_tokens
    return BYTES_PER_TOKEN * (tokens * summary.documents_read / summary.documents_kept)


def of_bytes(text: Estimate, there: Machine, slots: int, threads: int) -> Bill:
    """The bill of curating so many bytes on so many slots of some threads each."""
    return bill.of_job(text / (BYTES_A_SECOND * (slots * threads)), there, slots)


def _few(values: Sequence[Decimal | float]) -> str:
    """`expected (low to high)`, in two digits."""
    low, middle, high = (f"{float(value):.2g}" for value in values)
    return f"{middle} ({low} to {high})"
