"""The roofline of a decoder that reads prompts and writes answers, one pass at a time.

A pass reads all weights once, whatever it computes on, and what each answer has attended to so far:
bound by memory as long as few answers are written side by side, by its matrix products from then on
(Pope et al. 2022, arXiv 2211.05102).
"""

from __future__ import annotations

from cupola_operator.plan.anatomy import flops, parameters
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.hardware import Machine
from cupola_operator.plan.speed.network import Network


def seconds(
    model: Model,
    machine: Machine,
    *,
    sequences: float,
    each: int = 1,
    before: float = 0,
    tensor: int = 1,
    precision: str = "BF16",
) -> float:
    """Seconds of a pass over `each` tokens of so many sequences, `before` tokens into each.

    `tensor`: devices of one node that share each matrix. At the peak bandwidth of the memory and the
    rate of the best matrix products, and no sooner than its kernels are started one by one: what is
    reached is less.
    """
    physics = catalogue.physics()
    tokens, wide = sequences * each, width(precision)
    rate = tensor * machine.gpu.flops(precision) * machine.gpu.matmul
    bandwidth = tensor * machine.gpu.bandwidth
    one = flops.forward(model, length=1)
    products = (one.total - one.attention_scores) * tokens / rate
    scores = one.attention_scores * tokens * (before + (each + 1) / 2) / rate
    cached = sequences * (before + each) * tensor * cache(model, tensor, precision)
    sent = 4 * model.layers * Network(machine).ring(tokens * model.hidden * wide, tensor, stride=1)
    busy = max(wide * _read(model) / bandwidth, products) + max(cached / bandwidth, scores) + sent
    return max(busy, model.blocks * physics.kernels_per_block.value * physics.kernel_launch.value)


def cache(model: Model, tensor: int, precision: str) -> int:
    """Bytes of keys and values that a device keeps for a token of an answer that is being written.

    A head of keys and values is on every device that needs it.
    """
    heads = -(-model.kv_heads // tensor)
    return 2 * model.layers * heads * model.head_size * width(precision)


def width(precision: str) -> int:
    """Bytes of a number."""
    return 4 if precision == "FP32" else 2


def _read(model: Model) -> int:
    """Parameters that a pass reads: of an embedding that is not the head as well only some rows."""
    found = parameters.count(model)
    return found.total - (0 if model.tied else found.embedding)
