"""How long, in what batches, at which learning rate.

Where a person left them open, batch and learning rate follow the scaling laws of DeepSeek LLM
(arXiv 2401.02954, section 3.1): near-optimal values are powers of the compute budget C = M D, with
M the training FLOPs a token and D the tokens:

    learning rate = 0.3118 C^-0.1250        batch = 0.2920 C^0.3271 tokens

They were fitted from 1e17 to 2e19 FLOPs and checked at 7B and 67B. Below that range the rate is
held at `HIGHEST_RATE`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cupola_api import quantities
from cupola_api.finetune import FineTuneSpec
from cupola_api.pretrainjob import PretrainJobSpec
from cupola_api.run import Shape, World
from cupola_operator.plan import Refused
from cupola_operator.plan.shape import flops_per_token, parameters

TOKENS_PER_PARAMETER = 20.0
"""The compute-optimal ratio (Hoffmann et al. 2022, arXiv 2203.15556)."""

HIGHEST_RATE = 3e-3
"""Learning rate of the smallest models; small Adam-trained transformers are stable up to it."""

MICRO_BATCH_TOKENS = {"Gpu": 8192, "Cpu": 4096}
"""Tokens that a rank takes at once at most, where a sequence is not longer than that by itself."""


@dataclass(frozen=True)
class Schedule:
    """A pretraining in numbers."""

    steps: int
    sequences_per_step: int
    micro_batch: int
    learning_rate: float
    warmup_steps: int


@dataclass(frozen=True)
class Tuning:
    """A fine-tuning in numbers."""

    micro_batch: int
    learning_rate: float
    max_length: int


def of_pretraining(spec: PretrainJobSpec, shape: Shape, world: World) -> Schedule:
    """The schedule of a pretraining: what the spec says, and good values for what it leaves open.

    The batch is rounded to a multiple of ranks x micro-batch, and is one sequence a rank at least.
    """
    if spec.tokens:
        tokens = max(1, quantities.count(spec.tokens))
    else:
        tokens = math.ceil((spec.tokens_per_parameter or TOKENS_PER_PARAMETER) * parameters(shape))
    compute = float(flops_per_token(shape)) * tokens
    batch = quantities.count(spec.batch) if spec.batch else 0.2920 * compute**0.3271
    share = max(1, round(batch / shape.context / world.size))
    micro = _power_of_two(min(share, _limit(world.device, shape.context)))
    sequences = world.size * micro * max(1, round(share / micro))
    steps = math.ceil(tokens / (sequences * shape.context))
    return Schedule(
        steps=steps,
        sequences_per_step=sequences,
        micro_batch=micro,
        learning_rate=spec.schedule.learning_rate or _rate(compute),
        warmup_steps=round(spec.schedule.warmup * steps),
    )


def of_tuning(
    spec: FineTuneSpec, *, context: int, base_parameters: int | None, world: World
) -> Tuning:
    """The schedule of a fine-tuning.

    Every weight is tuned at a tenth of the rate that a compute-optimal pretraining of the base
    has; adapters take ten times more than full tuning does (Schulman et al. 2025, "LoRA Without
    Regret"). Refuses with BatchNotDivisible where examplesPerStep cannot be shared evenly among
    the ranks, and with MaxLengthTooLong where examples would be longer than the model can attend.
    """
    if spec.examples_per_step % world.size:
        raise Refused(
            "BatchNotDivisible",
            f"spec.examplesPerStep: {spec.examples_per_step} examples cannot be shared evenly "
            f"among {world.size} ranks; write a multiple of {world.size}",
        )
    length = spec.max_length or context
    if length > context:
        raise Refused(
            "MaxLengthTooLong",
            f"spec.maxLength: the base model attends to {context} tokens, so {length} is too "
            f"long; write {context} at most",
        )
    share = spec.examples_per_step // world.size
    micro = _power_of_two(min(math.gcd(share, 1 << 16), _limit(world.device, length)))
    return Tuning(
        micro_batch=micro,
        learning_rate=spec.schedule.learning_rate
        or _tuning_rate(base_parameters, lora=spec.tuning.lora is not None),
        max_length=length,
    )


def _limit(device: str, length: int) -> int:
    """Sequences of that length that a rank takes at once, at most."""
    return max(1, MICRO_BATCH_TOKENS[device] // length)


def _power_of_two(number: int) -> int:
    """The largest power of two that is not above `number`."""
    return 1 << (number.bit_length() - 1)


def _rate(compute: float) -> float:
    """The learning rate for a compute budget in FLOPs, to two digits."""
    return float(f"{min(HIGHEST_RATE, 0.3118 * compute**-0.1250):.1e}")


def _tuning_rate(base_parameters: int | None, *, lora: bool) -> float:
    size = float(base_parameters or 1)
    pretraining = _rate(6 * size * TOKENS_PER_PARAMETER * size)
    return float(f"{pretraining if lora else pretraining / 10:.1e}")
