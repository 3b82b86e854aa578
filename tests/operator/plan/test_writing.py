from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest

from cupola_operator.plan.anatomy import families, flops, parameters
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.answers import copies, generating, writing
from cupola_operator.plan.answers.copies import Text
from cupola_operator.plan.speed import catalogue

from .planning import LLAMA_8B

LLAMA_7B = families.of(
    "llama", layers=32, hidden=4096, heads=32, ffn=11008, vocabulary=32_000, context=4096
)
LLAMA_70B = families.of(
    "llama",
    layers=80,
    hidden=8192,
    heads=64,
    kv_heads=8,
    ffn=28_672,
    vocabulary=128_256,
    context=8192,
)
A100 = catalogue.typical("a100-80g")


class Reported(NamedTuple):
    """Tokens of answers a second in 16 bits."""

    model: Model
    gpu: str
    tensor: int
    at_once: int
    prompt: int
    answer: int
    rate: float


# NVIDIA, "Performance of TensorRT-LLM" (2023), static batches; NVIDIA, "Overview" of TensorRT-LLM v0.14
# (2024), as many at once as have room; Lambda, "LLMs inference benchmarks, using vLLM" (2024), v0.6.0 with
# ten steps a schedule, H100 as that page's other throughput of 405B says, prompts and answers of ShareGPT
# taken as 215 and 200 tokens.
PUBLISHED = [
    Reported(LLAMA_7B, "a100-80g", 1, 64, 128, 128, 3486),
    Reported(LLAMA_7B, "a100-80g", 1, 32, 128, 2048, 1459),
    Reported(LLAMA_7B, "a100-80g", 1, 32, 2048, 128, 529),
    Reported(LLAMA_7B, "a100-80g", 1, 16, 2048, 2048, 592),
    Reported(LLAMA_70B, "a100-80g", 4, 256, 1000, 1000, 1766),
    Reported(LLAMA_70B, "h100-sxm", 4, 256, 1000, 1000, 3730),
    Reported(LLAMA_70B, "a100-80g", 8, 256, 1000, 1000, 3055),
    Reported(LLAMA_70B, "h100-sxm", 8, 256, 1000, 1000, 5963),
    Reported(LLAMA_8B, "h100-sxm", 1, 256, 215, 200, 8088),
    Reported(LLAMA_70B, "h100-sxm", 4, 256, 215, 200, 3543),
]


@pytest.mark.parametrize("one", PUBLISHED)
def test_published_throughputs_are_within_the_range(one: Reported) -> None:
    machine, text = catalogue.typical(one.gpu), Text(10**9, one.answer, one.prompt)
    ways = copies.fitting(one.model, machine, text, precision="BF16", devices=one.tensor)
    (copy,) = [way for way in ways if way.tensor == one.tensor]
    copy = replace(copy, room=min(copy.room, one.at_once))
    took = copies.seconds(one.model, machine, text, copy, precision="BF16", copies=1)
    low, _, high = generating.REACHED.ends
    assert low <= text.tokens / one.rate / took <= high


def test_one_answer_takes_the_time_of_reading_the_weights() -> None:
    count = parameters.count(LLAMA_8B)
    bytes_read = 2 * (count.total - count.embedding)
    once = writing.seconds(LLAMA_8B, A100, sequences=1)
    assert once == pytest.approx(bytes_read / A100.gpu.bandwidth, rel=0.001)


def test_a_long_prompt_takes_the_time_of_its_products() -> None:
    work = flops.forward(LLAMA_8B, length=8192, causal=True).total
    rate = A100.gpu.flops("BF16") * A100.gpu.matmul
    once = writing.seconds(LLAMA_8B, A100, sequences=1, each=8192)
    assert once == pytest.approx(work / rate, rel=0.001)


def test_what_was_written_before_is_read_for_each_token() -> None:
    short, long = (
        writing.seconds(LLAMA_8B, A100, sequences=64, before=tokens) for tokens in (1000, 5000)
    )
    moved = 64 * 4000 * writing.cache(LLAMA_8B, 1, "BF16")
    assert long - short == pytest.approx(moved / A100.gpu.bandwidth)


def test_two_devices_are_faster_than_one_and_less_than_twice_as_fast() -> None:
    one, two = (
        writing.seconds(LLAMA_8B, A100, sequences=64, before=500, tensor=tensor)
        for tensor in (1, 2)
    )
    assert one / 2 < two < one


def test_a_pass_of_a_tiny_model_takes_as_long_as_its_kernels_take_to_start() -> None:
    tiny = replace(LLAMA_8B, hidden=64, ffn=128, heads=2, kv_heads=2, head_size=32, vocabulary=512)
    assert writing.seconds(tiny, A100, sequences=1) == pytest.approx(32 * 15 * 5e-6)


def test_keys_and_values_that_devices_cannot_share_are_on_each() -> None:
    assert writing.cache(LLAMA_8B, 1, "BF16") == 2 * 32 * 8 * 128 * 2
    assert writing.cache(LLAMA_8B, 8, "BF16") == writing.cache(LLAMA_8B, 16, "BF16")
    assert writing.cache(LLAMA_8B, 1, "FP32") == 2 * writing.cache(LLAMA_8B, 1, "BF16")
