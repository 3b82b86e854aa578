from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_api.finetune import FineTuneSpec
from cupola_api.pretrainjob import PretrainJobSpec
from cupola_api.run import World
from cupola_operator.plan import Refused, schedule, shape


def world(nodes: int = 1, gpus: int = 2, device: str = "Cpu") -> World:
    return World.model_validate(
        {"nodes": nodes, "gpusPerNode": gpus, "threads": 1, "device": device}
    )


def spec(**fields: object) -> PretrainJobSpec:
    return PretrainJobSpec.model_validate(
        {"datasets": [{"name": "d"}], "model": {"size": "2M", "context": 256}, **fields}
    )


def tuning(**fields: object) -> FineTuneSpec:
    value = {"base": {"pretrainJob": "b"}, "dataset": "d", **fields}
    return FineTuneSpec.model_validate(value)


SMALL = shape.of_size(2_000_000, vocabulary=4096, context=256)
LARGE = shape.of_size(7_000_000_000, vocabulary=32_000, context=4096)


def test_tokens_are_those_given_or_twenty_a_parameter() -> None:
    given_tokens = schedule.of_pretraining(spec(tokens="1M"), SMALL, world())
    assert given_tokens.steps == math.ceil(1e6 / (given_tokens.sequences_per_step * 256))
    usual = schedule.of_pretraining(spec(), SMALL, world())
    wanted = 20 * shape.parameters(SMALL)
    assert wanted <= usual.steps * usual.sequences_per_step * 256
    assert (usual.steps - 1) * usual.sequences_per_step * 256 < wanted
    double = schedule.of_pretraining(spec(tokensPerParameter=40), SMALL, world())
    assert double.steps * double.sequences_per_step > usual.steps * usual.sequences_per_step


@given(
    tokens=st.integers(1, 10**12),
    batch=st.none() | st.integers(1, 10**8),
    nodes=st.integers(1, 64),
    gpus=st.integers(1, 16),
    device=st.sampled_from(["Cpu", "Gpu"]),
)
def test_a_batch_is_shared_evenly_and_fits_a_rank(
    tokens: int, batch: int | None, nodes: int, gpus: int, device: str
) -> None:
    fields = {"tokens": str(tokens), **({"batch": str(batch)} if batch else {})}
    ranks = world(nodes, gpus, device)
    plan = schedule.of_pretraining(spec(**fields), SMALL, ranks)
    assert plan.sequences_per_step % (ranks.size * plan.micro_batch) == 0
    assert plan.micro_batch * 256 <= (8192 if device == "Gpu" else 4096)
    assert plan.micro_batch & (plan.micro_batch - 1) == 0
    assert plan.steps >= 1
    assert 0 <= plan.warmup_steps <= plan.steps
    assert 0 < plan.learning_rate <= schedule.HIGHEST_RATE
    if batch and batch >= 256 * ranks.size:
        assert 0.5 <= plan.sequences_per_step * 256 / batch <= 2


def test_a_sequence_that_is_longer_than_the_limit_is_taken_alone() -> None:
    long = shape.of_size(2_000_000, vocabulary=4096, context=65_536)
    assert schedule.of_pretraining(spec(batch="1M"), long, world()).micro_batch == 1


def test_the_defaults_follow_the_scaling_laws_of_deepseek() -> None:
    plan = schedule.of_pretraining(spec(tokens="140B"), LARGE, world(8, 8, "Gpu"))
    compute = shape.flops_per_token(LARGE) * 140e9
    assert plan.learning_rate == pytest.approx(0.3118 * compute**-0.125, rel=0.01)
    batch = plan.sequences_per_step * 4096
    assert batch == pytest.approx(0.2920 * compute**0.3271, rel=0.1)
    assert 3e-4 < plan.learning_rate < 1e-3
    assert 2e6 < batch < 8e6


def test_what_is_written_is_kept() -> None:
    plan = schedule.of_pretraining(
        spec(batch="8192", schedule={"learningRate": 0.01, "warmup": 0.5}), SMALL, world()
    )
    assert (plan.sequences_per_step, plan.learning_rate) == (32, 0.01)
    assert plan.warmup_steps == round(plan.steps / 2)


def test_adapters_take_ten_times_the_rate_of_all_weights() -> None:
    full = schedule.of_tuning(tuning(), context=256, base_parameters=10**9, world=world())
    lora = schedule.of_tuning(
        tuning(tuning={"lora": {}}), context=256, base_parameters=10**9, world=world()
    )
    assert lora.learning_rate == pytest.approx(10 * full.learning_rate, rel=0.1)
    assert 2e-5 < full.learning_rate < 2e-4
    unknown = schedule.of_tuning(tuning(), context=256, base_parameters=None, world=world())
    assert unknown.learning_rate == pytest.approx(schedule.HIGHEST_RATE / 10)
    written = tuning(schedule={"learningRate": 0.5})
    plan = schedule.of_tuning(written, context=256, base_parameters=None, world=world())
    assert plan.learning_rate == 0.5


def test_the_longest_example_is_the_context_unless_said() -> None:
    plan = schedule.of_tuning(tuning(), context=512, base_parameters=1, world=world())
    assert plan.max_length == 512
    shorter = tuning(maxLength=64)
    plan = schedule.of_tuning(shorter, context=512, base_parameters=1, world=world())
    assert plan.max_length == 64
    with pytest.raises(Refused, match="attends to 512 tokens, so 513 is too long") as refused:
        schedule.of_tuning(tuning(maxLength=513), context=512, base_parameters=1, world=world())
    assert refused.value.reason == "MaxLengthTooLong"


def test_examples_that_cannot_be_shared_evenly_are_refused() -> None:
    with pytest.raises(Refused, match=r"32 examples .* 3 ranks; write a multiple of 3") as refused:
        schedule.of_tuning(tuning(), context=256, base_parameters=1, world=world(3, 1))
    assert refused.value.reason == "BatchNotDivisible"


@given(share=st.integers(1, 4096), ranks=st.integers(1, 16), length=st.integers(16, 100_000))
def test_a_micro_batch_divides_the_share_of_a_rank(share: int, ranks: int, length: int) -> None:
    value = tuning(examplesPerStep=share * ranks)
    plan = schedule.of_tuning(value, context=length, base_parameters=1, world=world(1, ranks))
    assert share % plan.micro_batch == 0
    assert plan.micro_batch * length <= max(4096, length)
