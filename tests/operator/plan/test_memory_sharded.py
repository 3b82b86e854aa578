"""Memory of a rank of many: DeepSpeed's own estimators, published figures, and what must always hold."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs
from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cupola_operator.plan.anatomy import families
from cupola_operator.plan.anatomy.layout import Layout, problem
from cupola_operator.plan.anatomy.memory import States, memory, states
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.speed.candidates import Candidates

SIZES = [125_000_000, 7_000_000_000, 70_000_000_000]
NODES = [(1, 1), (2, 1), (4, 1), (8, 1), (8, 4), (8, 64)]  # GPUs a node, nodes


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("gpus", "nodes"), NODES)
def test_stage_2_takes_what_deepspeed_estimates(size: int, gpus: int, nodes: int) -> None:
    """Its estimate has a second copy of gradients, in 16 bits; ours that of FP32 while it steps."""
    found = states(size, Layout(data=gpus * nodes, zero=2))
    _, estimate = estimate_zero2_model_states_mem_needs(size, gpus, nodes, cpu_offload=False)
    assert found.total <= estimate <= found.total + found.step
    assert found.total == pytest.approx(estimate, rel=0.1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("gpus", "nodes"), NODES)
def test_stage_2_with_offload_takes_what_deepspeed_estimates(
    size: int, gpus: int, nodes: int
) -> None:
    found = states(size, Layout(data=gpus * nodes, zero=2, offload="Optimizer"))
    host, estimate = estimate_zero2_model_states_mem_needs(
        size, gpus, nodes, cpu_offload=True, additional_buffer_factor=1
    )
    assert found.total == estimate
    if gpus * nodes <= 4:  # beyond, it counts a copy of the gradients of each GPU
        assert found.host * gpus * nodes == pytest.approx(host)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("gpus", "nodes"), NODES)
@pytest.mark.parametrize("offload", ["None", "Optimizer", "Parameters"])
def test_stage_3_takes_what_deepspeed_estimates(
    size: int, gpus: int, nodes: int, offload: Any
) -> None:
    """Its largest layer is left out: weights while they are gathered are communication here."""
    found = states(size, Layout(data=gpus * nodes, zero=3, offload=offload))
    host, estimate, _ = estimate_zero3_model_states_mem_needs(
        size,
        0,
        gpus,
        nodes,
        cpu_offload=offload != "None",
        cpu_offload_params=offload == "Parameters",
        additional_buffer_factor=1,
    )
    assert found.total == pytest.approx(estimate, rel=1e-5)
    if offload != "None":
        assert found.host * gpus == pytest.approx(host, rel=1e-5)


@pytest.mark.parametrize(
    ("zero", "precision", "bytes_a_parameter"),
    [
        (0, "BF16", 16),
        (0, "FP32", 16),
        (1, "BF16", 20),
        (1, "FP32", 20),
        (2, "BF16", 18),
        (2, "FP32", 20),
        (3, "BF16", 18),
        (3, "FP32", 20),
    ],
)
def test_one_rank_takes_what_the_engine_held(
    zero: int, precision: Any, bytes_a_parameter: int
) -> None:
    """Tensors alive after the second backward pass of a step, logits left out, on one CPU rank.

    Measured on the trainer's DeepSpeed settings with a Llama of 5.3M parameters: 16.0, 16.0, 20.0,
    20.8, 18.4, 20.8, 18.1 and 20.1.
    """
    found = states(1000, Layout(zero=zero, accumulation=2), precision)
    assert found.total == 1000 * bytes_a_parameter


@pytest.mark.parametrize(
    ("size", "data", "stages"),
    [  # GB of stages 1, 2 and 3
        (7.5e9, 4, (52.5, 41.3, 30.0)),
        (7.5e9, 16, (35.6, 21.6, 7.5)),
        (7.5e9, 64, (31.4, 16.6, 1.88)),
        (7.5e9, 1024, (30.1, 15.1, 0.12)),
        (128e9, 4, (896, 704, 512)),
        (128e9, 64, (536, 284, 32)),
        (1e12, 1024, (4011, 2013, 15.6)),
    ],
)
def test_states_are_those_of_the_zero_paper(
    size: float, data: int, stages: tuple[float, float, float]
) -> None:
    """Rajbhandari et al., arXiv 1910.02054, table 1: gradients in 16 bits, where ours are summed in FP32."""
    for zero, published in enumerate(stages, start=1):
        found = states(int(size), Layout(data=data, zero=zero))
        as_there = found.total - found.gradients + 2 * size / (data if zero > 1 else 1)
        assert as_there / 1e9 == pytest.approx(published, rel=0.01, abs=0.01)
    assert states(int(size), Layout(data=data)).total == 16 * size


models = st.builds(
    lambda layers, heads, groups, ffn, vocabulary, context, tied, family: families.of(
        family,
        layers=layers,
        hidden=64 * heads,
        heads=heads,
        kv_heads=max(1, heads // groups),
        ffn=ffn * heads,
        vocabulary=vocabulary * heads,
        context=context,
        tied=tied,
    ),
    layers=st.sampled_from([4, 8, 16, 64]),
    heads=st.sampled_from([8, 16, 64, 128]),
    groups=st.sampled_from([1, 4, 8]),
    ffn=st.sampled_from([128, 176, 256]),
    vocabulary=st.sampled_from([256, 500, 2000]),  # times heads: four times the width at least
    context=st.sampled_from([128, 2048, 8192, 131_072]),
    tied=st.booleans(),
    family=st.sampled_from(["llama", "qwen3", "gpt2", "gpt-neox", "opt"]),
)
powers = st.sampled_from([1, 2, 4, 8])
layouts = st.builds(
    Layout,
    data=powers,
    tensor=powers,
    pipeline=st.sampled_from([1, 2, 4]),
    sequence=powers,
    zero=st.integers(0, 3),
    checkpointing=st.sampled_from(["None", "Selective", "Full"]),
    offload=st.sampled_from(["None", "None", "Optimizer", "Parameters"]),
    micro_batch=st.integers(1, 16),
    accumulation=st.sampled_from([1, 2, 8]),
)
settings = {
    "model": models,
    "layout": layouts,
    "precision": st.sampled_from(["BF16", "FP32"]),
    "attention": st.sampled_from(["Flash", "Eager"]),
}


def possible(model: Model, *chosen: Layout) -> None:
    assume(all(problem(model, layout) is None for layout in chosen))


@hypothesis_settings(max_examples=25)
@given(
    model=models,
    layers=st.integers(1, 12),
    world=st.sampled_from([1, 2, 3, 4, 6, 8, 16]),
    sequences=st.integers(1, 8),
    precision=st.sampled_from(["BF16", "FP32"]),
    attention=st.sampled_from(["Flash", "Eager"]),
)
def test_more_gpus_never_need_more_memory_each(
    *, model: Model, layers: int, world: int, sequences: int, precision: Any, attention: Any
) -> None:
    """What fits on so many, the planner makes fit on twice as many, whatever the batch and the layers.

    A sequence of the batch for each of the GPUs at least: with fewer there are GPUs without work.
    """
    candidates = Candidates(replace(model, layers=layers), 2 * world * sequences)

    def least(gpus: int) -> int:
        return min(
            memory(candidates.model, layout, precision, attention=attention).total
            for degrees in candidates.degrees(gpus)
            for split in candidates.splits(*degrees)
            for layout in candidates.passes(split)
        )

    assert least(2 * world) <= least(world)


@pytest.mark.parametrize("degree", ["data", "tensor", "pipeline", "sequence"])
def test_a_higher_degree_of_what_it_divides_evenly_never_needs_more_memory(degree: str) -> None:
    @given(**settings)
    def check(model: Model, layout: Layout, precision: Any, attention: Any) -> None:
        more = replace(layout, **{degree: 2 * getattr(layout, degree)})
        possible(model, layout, more)
        if degree == "pipeline":
            assume(model.layers % more.pipeline == 0)  # else one stage holds more than its share
            # Of each micro-batch in flight the first stage keeps the mask of the embeddings.
            assume(not model.dropout)
        before = memory(model, layout, precision, attention=attention)
        assert memory(model, more, precision, attention=attention).total <= before.total

    check()


@given(**settings)
def test_parts_are_never_negative_and_add_up(
    model: Model, layout: Layout, precision: Any, attention: Any
) -> None:
    possible(model, layout)
    found = memory(model, layout, precision, attention=attention)
    parts = {field.name: getattr(found, field.name) for field in fields(found)}
    assert min(parts.values()) >= 0
    assert found.total == sum(parts.values()) - found.host
    assert all(isinstance(part, int) for part in parts.values())


@given(**settings, times=st.integers(2, 5))
def test_more_work_at_once_never_needs_less_memory(
    model: Model, layout: Layout, precision: Any, attention: Any, times: int
) -> None:
    possible(model, layout)
    before = memory(model, layout, precision, attention=attention).total
    for larger, wider in (
        (model, replace(layout, micro_batch=times * layout.micro_batch)),
        (replace(model, context=times * model.context), layout),
        (replace(model, layers=times * model.layers), layout),
        (replace(model, vocabulary=times * model.vocabulary), layout),
    ):
        assert memory(larger, wider, precision, attention=attention).total >= before


@given(
    size=st.integers(1, 10**12),
    data=st.integers(2, 4096),
    sequence=st.integers(1, 8),
    precision=st.sampled_from(["BF16", "FP32"]),
    zero=st.integers(0, 2),
)
def test_a_higher_stage_never_needs_more_for_model_state(
    size: int, data: int, sequence: int, precision: Any, zero: int
) -> None:
    """With one rank there is nothing to shard, and the FP32 gradients of stage 1 cost more."""
    layout = Layout(data=data, sequence=sequence, zero=zero)
    lower = states(size, layout, precision)
    higher = states(size, replace(layout, zero=zero + 1), precision)
    assert higher.total <= lower.total + _rounding(lower)


def _rounding(held: States) -> int:
    """A share is rounded up to a whole parameter: of weights, gradients, master and moments."""
    return 20 * (held.total > 0)


@given(**settings)
def test_offloading_moves_model_state_to_the_host(
    model: Model, layout: Layout, precision: Any, attention: Any
) -> None:
    possible(model, layout)
    kept = replace(layout, offload="None")
    moved = memory(model, layout, precision, attention=attention)
    before = memory(model, kept, precision, attention=attention)
    assert before.host == 0
    assert moved.total <= before.total
    assert (moved.host > 0) == (layout.offload != "None")


@given(**settings)
def test_recomputing_blocks_takes_less_where_there_are_several(
    model: Model, layout: Layout, precision: Any, attention: Any
) -> None:
    possible(model, layout)
    assume(model.layers >= 4 * layout.pipeline)
    assume(layout.accumulation > 1 or layout.zero > 0)
    used = [
        memory(
            model, replace(layout, checkpointing=kind), precision, attention=attention
        ).activations
        for kind in ("Full", "Selective", "None")
    ]
    assert used == sorted(used)
