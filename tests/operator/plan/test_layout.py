from __future__ import annotations

from typing import Any

import pytest

from cupola_operator.plan.anatomy import families
from cupola_operator.plan.anatomy.layout import Layout, problem

from .planning import LLAMA_8B

T5 = families.of(
    "t5", layers=12, encoder_layers=12, hidden=768, heads=12, vocabulary=32_128, context=512
)


def test_ranks_and_sequences_are_counted() -> None:
    layout = Layout(data=4, tensor=8, pipeline=2, sequence=2, micro_batch=3, accumulation=5)
    assert (layout.world, layout.shards, layout.global_batch) == (128, 8, 60)


@pytest.mark.parametrize(
    "degrees",
    [
        {},
        {"data": 3, "zero": 3, "offload": "Parameters"},
        {"data": 7, "zero": 1, "offload": "Optimizer"},
        {"tensor": 16},  # twice as many as key and value heads: they are copied
        {"pipeline": 5},  # stages need not be alike
        {"pipeline": 4, "virtual": 2, "accumulation": 8, "zero": 1},
        {"tensor": 4, "sequence": 8},
    ],
)
def test_a_layout_that_can_be_trained_has_no_problem(degrees: Any) -> None:
    assert problem(LLAMA_8B, Layout(**degrees)) is None


@pytest.mark.parametrize(
    ("degrees", "sentence"),
    [
        ({"data": 0}, "data is 0; it must be 1 or more"),
        ({"micro_batch": -1}, "micro_batch is -1; it must be 1 or more"),
        ({"zero": 4}, "ZeRO has no stage 4; choose one from 0 to 3"),
        (
            {"tensor": 3},
            "32 attention heads cannot be shared by 3 tensor-parallel ranks; tensor must divide 32",
        ),
        ({"tensor": 64}, "32 attention heads cannot be shared by 64"),
        ({"pipeline": 33}, "32 layers cannot fill 33 pipeline stages"),
        ({"pipeline": 2, "zero": 2}, "a pipeline needs whole gradients on each stage"),
        ({"virtual": 2}, "2 virtual stages need a pipeline; set virtual to 1"),
        (
            {"pipeline": 4, "virtual": 2, "accumulation": 6},
            "accumulation must be a multiple of it, not 6",
        ),
        ({"sequence": 3}, "a context of 8192 tokens cannot be cut into 3 equal pieces"),
        ({"sequence": 64}, "32 attention heads cannot be shared by 64 sequence-parallel"),
        ({"offload": "Optimizer"}, "offloading the optimizer needs ZeRO"),
        ({"offload": "Parameters", "zero": 2}, "offloading parameters needs ZeRO stage 3, not 2"),
    ],
)
def test_a_layout_that_cannot_be_trained_is_explained(degrees: Any, sentence: str) -> None:
    assert sentence in str(problem(LLAMA_8B, Layout(**degrees)))


def test_key_and_value_heads_are_shared_or_copied() -> None:
    model = families.of(
        "llama", layers=2, hidden=768, heads=12, kv_heads=6, vocabulary=1000, context=1200
    )
    assert "6 key and value heads can be neither" in str(problem(model, Layout(tensor=4)))
    assert problem(model, Layout(tensor=12)) is None


def test_a_feed_forward_that_cannot_be_cut_is_explained() -> None:
    model = families.of(
        "llama", layers=2, hidden=64, heads=4, ffn=171, vocabulary=1000, context=128
    )
    assert "a feed-forward of 171 cannot be shared by 2" in str(problem(model, Layout(tensor=2)))


def test_an_encoder_decoder_has_no_pipeline() -> None:
    assert "needs the encoder's output" in str(problem(T5, Layout(pipeline=2)))
    assert problem(T5, Layout(tensor=4)) is None
