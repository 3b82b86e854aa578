"""Activations of a GPT against the formulas of Korthikanti et al., arXiv 2205.05198, table 2.

They count bytes a block in units of s b h, in 16 bits, with dropout and unfused attention.
"""

from __future__ import annotations

from typing import Any

import pytest

from cupola_operator.plan.anatomy import activations, families
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.anatomy.memory import memory

GPT: dict[str, dict[str, int]] = {  # their table 3
    "22B": {"layers": 48, "hidden": 6144, "heads": 64},
    "175B": {"layers": 96, "hidden": 12288, "heads": 96},
    "530B": {"layers": 105, "hidden": 20480, "heads": 128},
    "1T": {"layers": 128, "hidden": 25600, "heads": 160},
}
TRAINED: dict[str, dict[str, int]] = {
    "22B": {"tensor": 8, "micro_batch": 4, "accumulation": 1},
    "175B": {"tensor": 8, "pipeline": 8, "virtual": 3, "accumulation": 64},
    "530B": {"tensor": 8, "pipeline": 35, "virtual": 3, "accumulation": 280},
    "1T": {"tensor": 8, "pipeline": 64, "accumulation": 512},
}


def gpt(name: str) -> Any:
    return families.of("gpt2", **GPT[name], vocabulary=51200, context=2048)


@pytest.mark.parametrize("name", GPT)
@pytest.mark.parametrize("tensor", [1, 2, 8])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("checkpointing", ["None", "Selective", "Full"])
def test_a_block_keeps_what_the_formula_says(
    name: str, tensor: int, batch: int, checkpointing: Any
) -> None:
    model = gpt(name)
    a_block = {
        "None": 34 + 5 * model.heads * model.context / model.hidden,
        "Selective": 34,
        "Full": 2,  # with their sequence parallelism each rank keeps its part of the input
    }[checkpointing]
    layout = Layout(tensor=tensor, micro_batch=batch, checkpointing=checkpointing)
    kept = activations.of(model, layout, width=2, attention="Eager").block
    assert kept == pytest.approx(a_block * model.context * batch * model.hidden / tensor)


@pytest.mark.parametrize(("name", "square"), [("175B", 80), ("530B", 64)])
def test_the_core_of_attention_takes_what_their_section_5_says(name: str, square: int) -> None:
    """5 a s / h is 80 for GPT-3 and 64 for MT-NLG: 70 % and 65 % of the activations."""
    model = gpt(name)
    whole = activations.of(model, Layout(), width=2, attention="Eager").block
    rest = activations.of(
        model, Layout(checkpointing="Selective"), width=2, attention="Eager"
    ).block
    assert whole / rest == (34 + square) / 34


@pytest.mark.parametrize("name", TRAINED)
def test_what_they_trained_on_80_gb_fits_with_selective_recomputation_only(name: str) -> None:
    """Their figure 1: only with both techniques do all four models fit."""
    used: Any = {
        checkpointing: memory(
            gpt(name),
            Layout(**TRAINED[name], checkpointing=checkpointing),  # type: ignore[arg-type]
            attention="Eager",
        ).allocated
        for checkpointing in ("None", "Selective")
    }
    assert used["Selective"] < 80e9 < used["None"]


def test_an_interleaved_pipeline_keeps_more_on_its_first_stage() -> None:
    """Their section 4.2.3: L (1 + (p - 1) / (p m)) blocks with m chunks a stage, L with one."""
    model = gpt("175B")

    def held(virtual: int) -> int:
        layout = Layout(tensor=8, pipeline=8, virtual=virtual, accumulation=64)
        return memory(model, layout, attention="Eager").activations

    one = activations.of(model, Layout(tensor=8), width=2, attention="Eager").block
    assert held(3) - held(1) == pytest.approx(96 * one * 7 / 24, rel=1e-6)
