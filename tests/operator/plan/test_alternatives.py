from __future__ import annotations

import pytest

from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.speed.alternatives import Lost, families

LAYOUT = Layout(data=2, tensor=4, pipeline=2, zero=1, checkpointing="Selective", micro_batch=2)


def test_a_layout_belongs_to_one_family_of_each_question() -> None:
    assert families(LAYOUT, 8) == (
        "tensor parallelism in a node",
        "a pipeline",
        "no sequence parallelism",
        "ZeRO stage 1 with a split model",
        "recomputation of attention",
        "nothing offloaded",
        "micro-batches of 2",
    )


def test_copies_of_the_whole_model_are_zero_alone() -> None:
    found = families(Layout(data=8, zero=3, offload="Parameters", checkpointing="Full"), 8)
    assert found[0] == "no tensor parallelism"
    assert found[3:6] == ("ZeRO stage 3 alone", "full recomputation", "parameters offloaded")


def test_tensor_parallelism_over_more_ranks_than_a_node_has_is_across_nodes() -> None:
    assert families(LAYOUT, 2)[0] == "tensor parallelism across nodes"


@pytest.mark.parametrize(
    ("missing", "slower", "term", "reason"),
    [
        (
            12_340_000_000,
            0.0,
            "optimizer",
            "does not fit: it lacks 12.3 GB, and most goes to the optimizer's state",
        ),
        (
            5_000_000_000,
            0.0,
            "weights",
            "does not fit: it lacks 5.0 GB, and most goes to the weights",
        ),
        (0, 1.32, "bubble", "1.32 times as slow, mostly for stages that wait for each other"),
        (0, 1.004, "data", "as fast, within half a percent"),
    ],
)
def test_why_a_family_lost_is_said(missing: int, slower: float, term: str, reason: str) -> None:
    assert Lost("a pipeline", LAYOUT, missing, slower, term).reason == reason
