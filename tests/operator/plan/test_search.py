from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_operator.plan import Refused
from cupola_operator.plan.anatomy import families
from cupola_operator.plan.anatomy.layout import Layout, problem
from cupola_operator.plan.anatomy.memory import memory
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.candidates import Candidates, counts
from cupola_operator.plan.speed.hardware import Machine
from cupola_operator.plan.speed.search import Found, Question, best
from cupola_operator.plan.speed.steptime import Clock

from .planning import LLAMA_405B


def llama(layers: int, hidden: int, *, context: int = 2048, ffn: int | None = None) -> Model:
    return families.of(
        "llama",
        layers=layers,
        hidden=hidden,
        heads=hidden // 64,
        ffn=ffn or 3 * hidden,
        vocabulary=32_000,
        context=context,
    )


SMALL = llama(12, 768)
SEVEN = families.of(
    "llama", layers=32, hidden=4096, heads=32, ffn=11008, vocabulary=32_000, context=4096
)
A100 = catalogue.typical("a100-80g")
H100 = catalogue.typical("h100")


def seconds(found: Found) -> float:
    return found.step.total / found.layout.global_batch


def fits(model: Model, layout: Layout, machine: Machine) -> bool:
    used = memory(model, layout)
    ranks = min(layout.world, machine.gpus)
    return used.total <= machine.gpu.memory and used.host * ranks <= (machine.host_memory or 0)


def every_fitting(model: Model, machine: Machine, world: int, batch: int) -> list[float]:
    """Seconds a sequence of every layout that fits: the search without a short cut."""
    candidates = Candidates(model, batch)
    clock = Clock(model, machine.of(world))
    return [
        clock.step(layout).total / layout.global_batch
        for degrees in candidates.degrees(world)
        for split in candidates.splits(*degrees)
        for layout in candidates.passes(split)
        if fits(model, layout, machine)
    ]


ODD = llama(11, 1024)
T5 = families.of(
    "t5-v1.1", layers=6, encoder_layers=6, hidden=512, heads=8, vocabulary=32_128, context=512
)
BERT = families.of("bert", layers=12, hidden=768, heads=12, vocabulary=30_522, context=512)
MODELS = st.sampled_from(
    [SMALL, ODD, T5, BERT, llama(24, 1024), llama(24, 2048, context=4096), SEVEN]
)
GPUS = st.sampled_from(["v100-16g", "t4", "a10g", "a100-40g", "a100-80g", "h100", "rtx-4090"])
WORLDS = st.sampled_from([1, 2, 4, 8, 16, 32, 64])
BATCHES = st.sampled_from([64, 128, 256])


@given(MODELS, GPUS, WORLDS, BATCHES, st.sampled_from(["Fastest", "Cheapest"]))
@settings(max_examples=25, deadline=None)
def test_no_layout_that_does_not_fit_or_is_impossible_is_ever_proposed(
    model: Model, gpu: str, world: int, batch: int, prefer: Any
) -> None:
    machine = catalogue.typical(gpu).of(world)
    question = Question(model, machine, batch, gpus=world, prefer=prefer)
    if not every_fitting(model, machine, world, batch):
        with pytest.raises(Refused, match="no layout fits"):
            best(question)
        return
    found = best(question)
    assert fits(model, found.layout, machine)
    assert memory(model, found.layout) == found.memory
    assert problem(model, found.layout) is None
    assert found.layout.world == world
    assert abs(found.layout.global_batch / batch - 1) <= 0.125
    for lost in found.lost:
        if not lost.missing:
            assert fits(model, lost.layout, machine)


@given(MODELS, st.sampled_from(["a10g", "a100-40g", "h100"]), WORLDS, BATCHES)
@settings(max_examples=8, deadline=None)
def test_the_search_finds_what_trying_everything_finds(
    model: Model, gpu: str, world: int, batch: int
) -> None:
    machine = catalogue.typical(gpu).of(world)
    all_of_them = every_fitting(model, machine, world, batch)
    if all_of_them:
        found = best(Question(model, machine, batch, gpus=world))
        assert seconds(found) == pytest.approx(min(all_of_them))


@given(MODELS, st.sampled_from(["a10g", "a100-40g", "h100"]), WORLDS, BATCHES)
@settings(max_examples=12, deadline=None)
def test_twice_the_devices_are_never_slower_when_not_all_must_be_used(
    model: Model, gpu: str, world: int, batch: int
) -> None:
    """Numbers of devices to choose from are divisors of all there are, so the larger pool has them."""
    node = catalogue.typical(gpu)
    if node.gpus == 8 and world < 8:
        world = 8  # a smaller machine is another node
    try:
        few = best(Question(model, node.of(world), batch))
    except Refused:
        return
    many = best(Question(model, node.of(2 * world), batch))
    assert seconds(many) <= seconds(few) * (1 + 1e-9)


@given(MODELS, st.sampled_from(["a100-40g", "h100"]), st.sampled_from([8, 16, 32]), BATCHES)
@settings(max_examples=8, deadline=None)
def test_the_cheapest_takes_no_more_device_time_than_any_other_that_fits(
    model: Model, gpu: str, world: int, batch: int
) -> None:
    machine = catalogue.typical(gpu).of(world)
    found = best(Question(model, machine, batch, prefer="Cheapest"))
    for count in counts(machine):
        for other in every_fitting(model, machine, count, batch):
            assert seconds(found) * found.layout.world <= other * count * (1 + 1e-9)


def test_a_model_of_405b_on_16384_devices_is_searched_in_few_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timed = 0
    step = Clock.step

    def counting(self: Clock, layout: Layout) -> Any:
        nonlocal timed
        timed += 1
        return step(self, layout)

    monkeypatch.setattr(Clock, "step", counting)
    found = best(Question(LLAMA_405B, H100.of(16_384), 2048, gpus=16_384))
    assert found.layout.world == 16_384
    assert timed < 20_000


def test_a_large_model_is_split_by_more_than_one_means_and_others_lose_for_a_reason() -> None:
    found = best(Question(LLAMA_405B, H100.of(16_384), 2048, gpus=16_384))
    layout = found.layout
    assert layout.tensor > 1
    assert layout.pipeline > 1
    why = {lost.family: lost.reason for lost in found.lost}
    assert "times as slow, mostly for" in why["full recomputation"]
    assert why["full recomputation"].endswith("what is computed again")
    assert "times as slow" in why["no pipeline"]
    assert len(why) == len(found.lost)


def test_a_family_that_does_not_fit_says_by_how_much_and_what_takes_most() -> None:
    found = best(Question(SEVEN, A100.of(8), 64, gpus=8))
    (lost,) = [lost for lost in found.lost if lost.family == "ZeRO stage 0 alone"]
    least = Layout(data=8, checkpointing="Full")
    least = dataclasses.replace(least, accumulation=8)
    lacking = memory(SEVEN, lost.layout).total - A100.gpu.memory
    assert lost.missing == lacking > 0
    assert memory(SEVEN, least).total - A100.gpu.memory >= lost.missing
    assert lost.reason == (
        f"does not fit: it lacks {lost.missing / 1e9:.1f} GB, and most goes to the optimizer's state"
    )


def test_what_is_decided_stays_as_it_is() -> None:
    fixed = {"tensor": 4, "zero": 1, "checkpointing": "Full", "micro_batch": 2}
    found = best(Question(SEVEN, A100.of(32), 128, gpus=32, fixed=fixed))
    assert {name: getattr(found.layout, name) for name in fixed} == fixed


def test_no_chunk_of_an_interleaved_pipeline_is_empty() -> None:
    odd = dataclasses.replace(LLAMA_405B, layers=132)
    fixed = {"pipeline": 16, "tensor": 8}
    found = best(Question(odd, H100.of(4096), 2048, gpus=4096, fixed=fixed))
    assert found.layout.virtual > 1
    assert problem(odd, found.layout) is None


def test_nothing_that_fits_is_refused_with_what_is_missing() -> None:
    with pytest.raises(
        Refused, match=r"lacks [\d.]+ GB on each NVIDIA T4, which has [\d.]+ GB"
    ) as no:
        best(Question(SEVEN, catalogue.typical("t4").of(1), 64, gpus=1))
    assert no.value.reason == "NothingFits"


def test_a_split_that_heads_do_not_allow_is_refused_with_the_remedy() -> None:
    with pytest.raises(Refused, match="32 attention heads, 32 layers and 64 sequences") as no:
        best(Question(SEVEN, A100.of(8), 64, gpus=8, fixed={"tensor": 7}))
    assert no.value.reason == "NoLayout"


def test_the_memory_of_the_host_bounds_what_is_offloaded() -> None:
    large = dataclasses.replace(catalogue.typical("a10g"), gpus=1, host_memory=512 * 2**30)
    question = Question(SEVEN, large, 16, gpus=1, fixed={"zero": 3, "offload": "Parameters"})
    assert best(question).memory.host > 16 * 2**30
    for host_memory in (16 * 2**30, None):
        small = dataclasses.replace(large, host_memory=host_memory)
        with pytest.raises(Refused, match="no layout fits"):
            best(dataclasses.replace(question, machine=small))


def test_a_slow_network_changes_the_layout() -> None:
    fast = best(Question(SEVEN, A100.of(64), 256, gpus=64))
    slow = best(Question(SEVEN, dataclasses.replace(A100, network=1e9).of(64), 256, gpus=64))
    assert fast.layout != slow.layout
    assert slow.layout.zero < 3


def test_fewer_devices_are_used_where_more_would_be_slower() -> None:
    dial_up = dataclasses.replace(A100, network=1e6)
    found = best(Question(SMALL, dial_up.of(64), 64))
    assert found.layout.world == 8
