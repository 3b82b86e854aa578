"""A plan as plain values: what `cupola plan -o json` and `-o yaml` print.

Estimates are {low, expected, high}. Money is {low, expected, high, currency}. What is not known is
null. Field names are those of the API where it has them; times are in the unit that they name,
memory is in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cupola_operator.plan.anatomy import parameters
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.answers.data import Data
from cupola_operator.plan.answers.plan import Alternative, Generation, Option, Plan, Training
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money.bill import Bill
from cupola_operator.plan.money.price import Money, RentOrBuy, rounded

_PROMISED = (
    *("parameters", "flops", "parallelism", "memoryPerGpu", "mfu"),
    *("wallClockHours", "gpuHours", "cost", "energyKwh"),
)
"""What the document of every plan has, null where there is none."""


def of(plan: Plan) -> dict[str, Any]:
    """One plan."""
    machine = plan.machine
    return {
        "kind": plan.kind,
        "name": plan.name,
        "fits": plan.runs,
        "pool": machine.name,
        "gpu": machine.gpu.name,
        "gpus": plan.devices,
        "nodes": plan.nodes,
        **dict.fromkeys(_PROMISED),
        **_training(plan.training),
        **_generation(plan.generation),
        **_bill(plan.bill),
        "options": [_option(one) for one in plan.options],
        "alternatives": [_alternative(one) for one in plan.alternatives],
        "notes": list(plan.notes),
        "assumptions": list(plan.assumptions),
    }


def together(plans: Sequence[Plan]) -> dict[str, Any]:
    """Several plans, and their sum where each has a bill."""
    bills = [plan.bill for plan in plans if plan.bill]
    value: dict[str, Any] = {"items": [of(plan) for plan in plans]}
    if bills:
        value["total"] = {
            "of": len(bills),
            "gpuHours": _sum([bill.device_hours for bill in bills]).to_json(),
            "energyKwh": _sum([bill.energy.kwh for bill in bills]).to_json(),
            "cost": _money(total(plans)),
        }
    return value


def total(plans: Sequence[Plan]) -> Money | None:
    """What all of them cost together; None if one has no price."""
    costs = [plan.bill.on_demand for plan in plans if plan.bill]
    if not costs or None in costs:
        return None
    known = [cost for cost in costs if cost]
    amount = known[0]
    for cost in known[1:]:
        amount = amount + cost
    return amount


def _sum(estimates: Sequence[Estimate]) -> Estimate:
    amount = Estimate.exactly(0)
    for one in estimates:
        amount = amount + one
    return amount


def _training(training: Training | None) -> dict[str, Any]:
    if training is None:
        return {}
    model, whole = training.model, training.whole
    return {
        "model": {
            "architecture": model.architecture,
            "layers": model.layers,
            "hidden": model.hidden,
            "heads": model.heads,
            "kvHeads": model.kv_heads,
            "ffn": model.ffn,
            "vocabulary": model.vocabulary,
            "context": model.context,
        },
        "parameters": training.parameters,
        "parametersByPart": _parts(parameters.count(model)),
        "trainableParameters": training.trainable,
        "tokens": training.tokens if whole else None,
        "steps": training.steps if whole else None,
        "batchTokens": training.batch_tokens,
        "flops": float(training.flops) if whole else None,
        "flopsRuleOfThumb": float(training.six_nd) if whole else None,
        "precision": training.precision,
        "parallelism": _layout(training.layout),
        "memoryPerGpu": {**training.memory.parts, "total": training.memory.total},
        "gpuMemory": training.capacity,
        "stepSeconds": training.step_seconds.to_json(),
        "stepSecondsByPart": {
            _camel(part): seconds.to_json() for part, seconds in training.step.items()
        },
        "mfu": training.mfu.to_json(),
        "checkpointBytes": training.checkpoint_bytes,
        "data": _data(training.data),
        "loss": _estimate(training.loss),
    }


def _generation(found: Generation | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "parameters": found.parameters,
        "tokens": found.tokens,
        "answers": found.answers,
        "answerTokens": found.answer_tokens,
        "promptTokens": found.prompt_tokens,
        "precision": found.precision,
        "parallelism": {
            "copies": found.copies,
            "tensor": found.tensor,
            "answersAtOnce": found.at_once,
        },
        "memoryPerGpu": {
            "weights": found.weights,
            "cache": found.cache,
            "total": found.weights + found.cache,
        },
        "gpuMemory": found.capacity,
        "tokensPerSecond": found.tokens_per_second.to_json(),
    }


def _parts(count: parameters.Parameters) -> dict[str, int]:
    return {
        "embedding": count.embedding,
        "positions": count.positions,
        "attention": count.attention,
        "feedForward": count.feed_forward,
        "norms": count.norms,
        "head": count.head,
    }


def _layout(layout: Layout) -> dict[str, Any]:
    return {
        "data": layout.data,
        "tensor": layout.tensor,
        "pipeline": layout.pipeline,
        "virtualStages": layout.virtual,
        "sequence": layout.sequence,
        "zeroStage": layout.zero,
        "activationCheckpointing": layout.checkpointing,
        "offload": layout.offload,
        "microBatch": layout.micro_batch,
        "accumulation": layout.accumulation,
    }


def _data(data: Data | None) -> dict[str, Any] | None:
    if data is None:
        return None
    return {
        "tokens": data.tokens,
        "shardBytes": data.shard_bytes,
        "textBytes": data.text_bytes.to_json(),
        "enough": data.enough,
        "epochs": {name: float(f"{passes:.4g}") for name, passes in data.epochs.items()},
        "unknown": list(data.unknown),
    }


def _bill(bill: Bill | None) -> dict[str, Any]:
    if bill is None:
        return {}
    met, spot = bill.reliability, bill.spot
    return {
        "wallClockHours": bill.wall_clock_hours.to_json(),
        "gpuHours": bill.device_hours.to_json(),
        "cost": _money(bill.on_demand),
        "costReserved": _money(bill.reserved),
        "spot": spot
        and {
            "cost": _money(spot.cost),
            "wallClockHours": spot.wall_clock_hours.to_json(),
            "preemptions": spot.preemptions.to_json(),
        },
        "energyKwh": bill.energy.kwh.to_json(),
        "energyCost": _money(bill.electricity),
        "co2Kg": bill.energy.co2_kg.to_json(),
        "rentOrBuy": _ownership(bill.ownership),
        "failures": _estimate(met.failures if met else None),
        "goodput": _estimate(met.goodput if met else None),
        "bestCheckpointSeconds": _estimate(met.interval if met else None),
    }


def _ownership(found: RentOrBuy | None) -> dict[str, Any] | None:
    if found is None:
        return None
    low, expected, high = (hours and float(rounded(hours)) for hours in found.break_even_hours)
    return {
        "buy": float(rounded(found.buy)),
        "breakEvenHoursPerGpu": {"low": low, "expected": expected, "high": high},
    }


def _option(option: Option) -> dict[str, Any]:
    return {
        "what": option.what,
        "parameters": option.parameters,
        "tokens": option.tokens,
        "gpuHours": _estimate(option.device_hours),
        "cost": _money(option.cost),
        "loss": _estimate(option.loss),
        "chosen": option.chosen,
    }


def _alternative(one: Alternative) -> dict[str, Any]:
    return {
        "what": one.what,
        "reason": one.reason,
        "wallClockHours": _estimate(one.wall_clock_hours),
        "cost": _money(one.cost),
    }


def _estimate(estimate: Estimate | None) -> dict[str, float] | None:
    return estimate.to_json() if estimate else None


def _money(money: Money | None) -> dict[str, float | str] | None:
    return money.to_json() if money else None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)
