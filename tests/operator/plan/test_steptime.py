from __future__ import annotations

import dataclasses
from statistics import median
from typing import Any, NamedTuple

import pytest

from cupola_operator.plan.anatomy import families, flops
from cupola_operator.plan.anatomy.activations import Attention
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.speed import catalogue, steptime
from cupola_operator.plan.speed.hardware import Machine
from cupola_operator.plan.speed.steptime import Clock, StepTime

from .planning import LLAMA_8B, LLAMA_405B


def gpt(layers: int, hidden: int, heads: int, vocabulary: int = 51200, **others: Any) -> Model:
    sizes = {"layers": layers, "hidden": hidden, "heads": heads, "vocabulary": vocabulary}
    return families.of("gpt2", **(sizes | {"context": 2048} | others))


TINY_LLAMA = families.of(
    "llama",
    layers=22,
    hidden=2048,
    heads=32,
    kv_heads=4,
    ffn=5632,
    vocabulary=32000,
    context=2048,
)


class Measured(NamedTuple):
    """Throughput that a paper reports: model TFLOP/s a GPU, attention as the full square."""

    what: str
    model: Model
    gpu: str
    layout: Layout
    tflops: float
    attention: Attention = "Flash"


def megatron(row: tuple[int, ...]) -> Measured:
    """A row of table 1 of arXiv 2104.04473: full recomputation, which its FLOP/s count."""
    hidden, heads, layers, tensor, pipeline, gpus, batch, micro, tflops = row
    data = gpus // tensor // pipeline
    layout = Layout(
        data=data,
        tensor=tensor,
        pipeline=pipeline,
        micro_batch=micro,
        accumulation=batch // data // micro,
        checkpointing="Full",
    )
    model = gpt(layers, hidden, heads)
    return Measured(f"Megatron-LM {hidden}", model, "a100-80g", layout, tflops * 3 / 4, "Eager")


def korthikanti(model: Model, schedule: tuple[int, int, int, int], mfu: float) -> Measured:
    """A row of table 5 of arXiv 2205.05198: selective recomputation, sequence parallelism.

    `schedule`: stages, interleaving, sequences a step, and a pass.
    """
    pipeline, virtual, batch, micro = schedule
    layout = Layout(
        tensor=8,
        pipeline=pipeline,
        virtual=virtual,
        micro_batch=micro,
        accumulation=batch // micro,
        checkpointing="Selective",
    )
    what = f"Korthikanti et al. {model.hidden}"
    return Measured(what, model, "a100-80g", layout, mfu * 312, "Eager")


MOSAIC = {
    "1b": (24, 2048, 16),
    "3b": (32, 2560, 32),
    "7b": (32, 4096, 32),
    "13b": (40, 5120, 40),
    "30b": (48, 7168, 56),
    "70b": (80, 8192, 64),
}
"""Layers, width and heads of its models."""


def mosaic(size: str, gpu: str, passes: tuple[int, int, int], full: bool, tokens: int) -> Measured:
    """A row of scripts/train/benchmarking of github.com/mosaicml/llm-foundry: FSDP, 2048 tokens.

    `passes`: GPUs, sequences a pass, accumulation. `tokens`: a second, of one GPU.
    """
    gpus, micro, accumulation = passes
    layers, hidden, heads = MOSAIC[size]
    sizes = {"layers": layers, "hidden": hidden, "heads": heads}
    model = families.of("mpt", **sizes, vocabulary=50_368, context=2048)
    layout = Layout(
        data=gpus,
        zero=3,
        micro_batch=micro,
        accumulation=accumulation,
        checkpointing="Full" if full else "None",
    )
    tflops = tokens * flops.training(model).total / 2048 / 1e12
    return Measured(f"llm-foundry {size} on {gpus} {gpu}", model, gpu, layout, tflops)


# Seen in the sources' repositories, or in copies and quotations of the papers; the rows of
# arXiv 2205.05198 and the layouts of the first eight of arXiv 2104.04473 are from memory.
MEASURED = [
    mosaic("1b", "a100-80g", (8, 14, 4), False, 20_513),
    mosaic("3b", "a100-80g", (8, 10, 2), False, 10_811),
    mosaic("7b", "a100-80g", (8, 6, 2), False, 4_641),
    mosaic("13b", "a100-80g", (8, 2, 3), False, 2_262),
    mosaic("30b", "a100-80g", (8, 3, 21), True, 916),
    mosaic("70b", "a100-80g", (64, 8, 4), True, 410),
    mosaic("3b", "a100-40g", (128, 6, 1), False, 9_538),
    mosaic("7b", "a100-40g", (128, 18, 1), True, 3_623),
    mosaic("13b", "a100-40g", (128, 16, 1), True, 1_972),
    mosaic("30b", "a100-40g", (128, 6, 1), True, 865),
    mosaic("70b", "a100-40g", (128, 4, 1), True, 376),
    mosaic("1b", "h100", (64, 20, 1), False, 44_402),
    mosaic("3b", "h100", (64, 6, 3), False, 22_525),
    mosaic("7b", "h100", (8, 6, 1), False, 10_643),
    mosaic("13b", "h100", (64, 2, 1), False, 4_800),
    mosaic("30b", "h100", (32, 14, 3), True, 2_308),
    mosaic("70b", "h100", (64, 8, 4), True, 1_039),
    megatron((2304, 24, 24, 1, 1, 32, 512, 16, 137)),
    megatron((3072, 32, 30, 2, 1, 64, 512, 16, 138)),
    megatron((4096, 32, 36, 4, 1, 128, 512, 16, 142)),
    megatron((6144, 48, 40, 8, 1, 256, 1024, 8, 135)),
    megatron((8192, 64, 48, 8, 2, 512, 1536, 4, 138)),
    megatron((10240, 80, 60, 8, 4, 1024, 1792, 2, 140)),
    megatron((12288, 96, 80, 8, 8, 1536, 2304, 1, 148)),
    megatron((16384, 128, 96, 8, 16, 1920, 2160, 1, 155)),
    megatron((20480, 128, 105, 8, 35, 2520, 2520, 1, 163)),
    megatron((25600, 160, 128, 8, 64, 3072, 3072, 1, 163)),
    korthikanti(gpt(48, 6144, 64), (1, 1, 4, 4), 0.415),
    korthikanti(gpt(96, 12288, 96), (8, 3, 64, 1), 0.514),
    korthikanti(gpt(105, 20480, 128), (35, 3, 280, 1), 0.560),
    korthikanti(gpt(128, 25600, 160), (64, 1, 512, 1), 0.563),
    Measured(
        "GLM-130B, arXiv 2210.02414: 32.5 % MFU",
        gpt(70, 12288, 96, 150528, ffn=32768, gated=True),
        "a100-40g",
        Layout(data=24, tensor=4, pipeline=8, accumulation=176, checkpointing="Full", zero=1),
        0.325 * 312,
        "Eager",
    ),
    Measured(
        "OPT-175B, arXiv 2205.01068: 147 TFLOP/s with recomputation",
        gpt(96, 12288, 96, 50272),
        "a100-80g",
        Layout(data=124, tensor=8, zero=3, micro_batch=8, checkpointing="Full"),
        147 * 3 / 4,
        "Eager",
    ),
    Measured(
        "MT-NLG 530B, arXiv 2201.11990: 126 TFLOP/s with recomputation on 2,240 GPUs",
        gpt(105, 20480, 128),
        "a100-80g",
        Layout(data=8, tensor=8, pipeline=35, accumulation=240, checkpointing="Full", zero=1),
        126 * 3 / 4,
        "Eager",
    ),
    Measured(
        "Megatron-LM 1.2B, arXiv 1909.08053: 39 TFLOP/s on one V100, recomputation included",
        gpt(40, 1536, 16, context=1024),
        "v100-32g",
        Layout(micro_batch=8, checkpointing="Full"),
        39 * 3 / 4,
        "Eager",
    ),
    Measured(
        "Megatron-LM 8.3B, arXiv 1909.08053: 15.1 PFLOP/s on 512 V100, recomputation included",
        gpt(72, 3072, 32, context=1024),
        "v100-32g",
        Layout(data=64, tensor=8, micro_batch=8, checkpointing="Full"),
        15_100 / 512 * 3 / 4,
        "Eager",
    ),
    Measured(
        "Llama 3 405B, arXiv 2407.21783 table 4: 430 TFLOP/s on 8,192 GPUs",
        LLAMA_405B,
        "h100",
        Layout(data=64, tensor=8, pipeline=16, virtual=8, zero=1, accumulation=32),
        430,
    ),
    Measured(
        "Llama 3 405B, table 4: 400 TFLOP/s on 16,384 GPUs",
        LLAMA_405B,
        "h100",
        Layout(data=128, tensor=8, pipeline=16, virtual=8, zero=1, accumulation=16),
        400,
    ),
    Measured(
        "TinyLlama, arXiv 2401.02385: 24,000 tokens/s a GPU",
        TINY_LLAMA,
        "a100-40g",
        Layout(data=16, zero=2, micro_batch=8, accumulation=8),
        24_000 * flops.training(TINY_LLAMA).total / 2048 / 1e12,
    ),
]


def reached(one: Measured) -> float:
    """Measured throughput over that of the model of step time, which knows no friction."""
    machine = catalogue.typical(one.gpu).of(one.layout.world)
    clock = Clock(one.model, machine, attention=one.attention)
    mfu = clock.mfu(one.layout, clock.step(one.layout).total)
    return one.tflops * 1e12 / (mfu * machine.gpu.flops("BF16"))


@pytest.mark.parametrize("one", MEASURED, ids=lambda one: one.what)
def test_published_throughput_is_at_least_three_fifths_of_that_without_friction(
    one: Measured,
) -> None:
    assert 0.6 < reached(one) < 1.1


def test_published_throughput_is_the_same_share_of_it_on_every_scale() -> None:
    shares = {one.what: reached(one) for one in MEASURED}
    middle = median(shares.values())
    assert 0.8 < middle < 0.95
    near = [share for share in shares.values() if abs(share / middle - 1) < 0.15]
    assert len(near) >= 0.75 * len(shares)


# What each part of a step answers to

H100 = catalogue.typical("h100")
NODE = Layout(data=8, zero=1, micro_batch=1, accumulation=4)


def step(layout: Layout, model: Model = LLAMA_8B, machine: Machine | None = None) -> StepTime:
    return steptime.step(model, layout, machine or H100.of(layout.world))


def test_the_total_is_the_sum_of_the_parts() -> None:
    layout = Layout(data=2, tensor=2, pipeline=2, zero=1, checkpointing="Full", accumulation=4)
    found = step(layout)
    assert found.total == pytest.approx(sum(dataclasses.asdict(found).values()))
    parts = dataclasses.asdict(found)
    assert [name for name, value in parts.items() if value == 0] == ["offload"]


def test_model_flops_utilisation_is_below_what_matrix_products_reach() -> None:
    clock = Clock(LLAMA_8B, H100.of(8))
    assert 0.4 < clock.mfu(NODE, clock.step(NODE).total) < H100.gpu.matmul


def test_recomputing_all_costs_a_third_of_forward_and_backward() -> None:
    full = step(dataclasses.replace(NODE, checkpointing="Full"))
    some = step(dataclasses.replace(NODE, checkpointing="Selective"))
    assert 0.25 < full.recomputation / full.compute < 0.35
    assert 0 < some.recomputation < 0.2 * full.recomputation


def test_tensor_parallelism_across_nodes_is_slower_than_in_one() -> None:
    machine = dataclasses.replace(H100, network=50e9).of(16)
    inside = step(Layout(data=2, tensor=8, accumulation=4), machine=machine)
    across = step(Layout(data=1, tensor=16, accumulation=8), machine=machine)
    assert across.tensor > 10 * inside.tensor


def test_a_bubble_is_the_stages_over_the_passes_and_interleaving_divides_it() -> None:
    layout = Layout(pipeline=8, accumulation=16)
    plain = step(layout)
    busy = plain.compute + plain.recomputation + plain.memory_bound + plain.tensor
    assert plain.bubble == pytest.approx(busy * 7 / 16)
    interleaved = step(dataclasses.replace(layout, virtual=2))
    assert interleaved.bubble == pytest.approx(plain.bubble / 2)
    assert interleaved.pipeline > plain.pipeline


def test_zero_3_sends_at_every_pass_and_zero_1_once_a_step() -> None:
    slow = dataclasses.replace(H100, network=10e9).of(64)

    def data(zero: int, accumulation: int) -> float:
        layout = Layout(data=64, zero=zero, accumulation=accumulation)
        return step(layout, machine=slow).data

    assert data(3, 8) > 7 * data(3, 1)
    assert data(1, 8) <= data(1, 1)
    assert data(3, 8) > data(2, 8) > data(1, 8)


def test_computation_hides_messages_where_it_lasts_longer() -> None:
    short = step(Layout(data=64, zero=0, micro_batch=1))
    long = step(Layout(data=64, zero=0, micro_batch=8))
    assert long.data <= short.data


def test_one_copy_sends_nothing() -> None:
    assert step(Layout(tensor=8, accumulation=4)).data == 0


def test_rings_of_thousands_of_ranks_wait_for_their_hops() -> None:
    tiny = gpt(2, 256, 4, 1024)
    few = step(Layout(data=64, zero=1), tiny)
    many = step(Layout(data=16_384, zero=1), tiny)
    assert many.data > 20e-3
    assert many.data > 50 * few.data


def test_what_is_offloaded_waits_for_the_host() -> None:
    there = step(dataclasses.replace(NODE, offload="Optimizer"))
    everything = step(dataclasses.replace(NODE, zero=3, offload="Parameters"))
    assert there.offload > 10 * step(NODE).optimizer
    assert there.optimizer == 0
    assert everything.offload >= there.offload


def test_sequence_parallelism_shares_the_tokens_and_exchanges_heads() -> None:
    alone = step(Layout(data=1, accumulation=2))
    shared = step(Layout(sequence=2, accumulation=2))
    assert shared.compute == pytest.approx(alone.compute / 2, rel=0.05)
    assert shared.tensor > 0 == alone.tensor


def test_small_kernels_wait_for_the_host_that_launches_them() -> None:
    tiny = gpt(12, 128, 4, 1024, context=128)
    found = step(Layout(data=1), tiny)
    assert found.memory_bound > found.compute


def test_attention_that_writes_its_scores_is_slower() -> None:
    machine = H100.of(8)
    fused, eager = (Clock(LLAMA_8B, machine, attention=one) for one in ("Flash", "Eager"))
    assert eager.step(NODE).compute > 1.2 * fused.step(NODE).compute


def test_full_precision_takes_longer_by_the_ratio_of_the_peaks() -> None:
    machine = H100.of(8)
    half, full = (Clock(LLAMA_8B, machine, one).step(NODE) for one in ("BF16", "FP32"))
    assert full.compute / half.compute == pytest.approx(989.4 / 494.5, rel=0.02)


def test_an_encoder_attends_both_ways() -> None:
    decoder = gpt(12, 768, 12, 30528, context=4096)
    encoder = dataclasses.replace(decoder, architecture="Encoder")
    assert step(NODE, encoder).compute > 1.1 * step(NODE, decoder).compute


def test_an_encoder_decoder_attends_across() -> None:
    t5 = families.of(
        "t5",
        layers=12,
        encoder_layers=12,
        hidden=768,
        heads=12,
        ffn=3072,
        vocabulary=32128,
        context=512,
    )
    without = dataclasses.replace(t5, architecture="Encoder", layers=24, encoder_layers=0)
    assert step(NODE, t5).compute > 1.1 * step(NODE, without).compute


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_no_step_is_faster_than_its_matrix_products(batch: int) -> None:
    layout = Layout(data=8, tensor=1, micro_batch=batch)
    peak = H100.gpu.flops("BF16") * 8
    least = flops.training(LLAMA_8B, causal=True).total * layout.global_batch / peak
    assert step(layout).total > least


def test_the_part_that_makes_a_step_slower_most_is_named() -> None:
    plain, full = step(NODE), step(dataclasses.replace(NODE, checkpointing="Full"))
    assert full.largest_over(plain) == "recomputation"
