"""The settings of the engine; its state is tested in whole runs (test_job.py)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_api.run import Hyperparameters, PretrainRun, Shape, World
from cupola_api.training import Optimizer, Precision
from cupola_trainer.model import build
from cupola_trainer.pod import PodFailure
from cupola_trainer.pretrain.engine import _optimizer, accumulation, settings

SHAPE = Shape(
    layers=1,
    hidden=16,
    heads=2,
    kv_heads=2,
    ffn=16,
    vocabulary=32,
    context=8,
    tie_embeddings=True,
)


def _run(
    *,
    sequences: int = 12,
    micro_batch: int = 3,
    ranks: int = 2,
    stage: int = 1,
    precision: Precision = Precision.BF16,
) -> PretrainRun:
    return PretrainRun(
        namespace="default",
        name="small",
        output="file:///nowhere",
        datasets=[],
        shape=SHAPE,
        steps=1,
        sequences_per_step=sequences,
        micro_batch=micro_batch,
        hyperparameters=Hyperparameters(
            optimizer=Optimizer(beta1=0.8, beta2=0.9, epsilon=1e-6),
            learning_rate=1e-3,
            warmup_steps=0,
            final_ratio=0.1,
            weight_decay=0.2,
            gradient_clipping=0.5,
            precision=precision,
            seed=0,
        ),
        world=World(nodes=1, gpus_per_node=ranks, threads=1, device="Cpu"),
        zero_stage=stage,
        activation_checkpointing=False,
        checkpoint_seconds=1,
        checkpoint_keep=1,
    )


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8))
def test_ranks_and_micro_batches_make_up_a_step(ranks: int, micro_batch: int, times: int) -> None:
    run = _run(sequences=ranks * micro_batch * times, micro_batch=micro_batch, ranks=ranks)
    assert accumulation(run) == times


def test_what_does_not_divide_is_refused_with_the_remedy() -> None:
    with pytest.raises(PodFailure, match="multiple of 80 tokens") as caught:
        accumulation(_run(sequences=12, micro_batch=5))
    assert caught.value.reason == "BatchIndivisible"


@pytest.mark.parametrize("stage", range(4))
@pytest.mark.parametrize("precision", Precision)
def test_gradients_are_summed_in_fp32_where_deepspeed_can(stage: int, precision: Precision) -> None:
    value = settings(_run(stage=stage, precision=precision))
    bf16 = precision is Precision.BF16
    assert value["zero_optimization"] == {"stage": stage}
    assert value["bf16"] == {"enabled": bf16}
    assert (value.get("data_types") == {"grad_accum_dtype": "fp32"}) is (bf16 and stage > 0)
    assert value["gradient_accumulation_steps"] == 2
    assert value["gradient_clipping"] == 0.5


def test_matrices_decay_and_norms_do_not() -> None:
    model = build(SHAPE, 0)
    optimizer = _optimizer(model, _run().hyperparameters)
    decayed, others = optimizer.param_groups
    assert {weight.ndim for weight in decayed["params"]} == {2}
    assert {weight.ndim for weight in others["params"]} == {1}
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.2, 0.0)
    assert (decayed["betas"], decayed["eps"], decayed["lr"]) == ((0.8, 0.9), 1e-6, 0.0)
    assert len(decayed["params"]) + len(others["params"]) == len(list(model.parameters()))
