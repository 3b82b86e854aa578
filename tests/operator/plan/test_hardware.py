from __future__ import annotations

import pytest

from cupola_operator.plan.speed import catalogue


def test_what_a_gpu_cannot_do_is_done_in_the_next_precision() -> None:
    v100, a100, cpu = (catalogue.gpu(name) for name in ("v100", "a100", "cpu"))
    assert v100.flops("BF16") == v100.peak["FP16"]
    assert v100.flops("FP32") == v100.peak["FP32"]
    assert a100.flops("FP32") == a100.peak["TF32"]
    assert a100.flops("FP8") == a100.peak["BF16"]
    assert cpu.flops("BF16") == cpu.peak["FP32"]
    with pytest.raises(KeyError):
        a100.flops("INT8")


def test_so_many_gpus_are_whole_nodes_or_part_of_one() -> None:
    node = catalogue.typical("h100")
    assert (node.of(4).gpus, node.of(4).nodes) == (4, 1)
    assert (node.of(64).gpus, node.of(64).nodes, node.of(64).world) == (8, 8, 64)


def test_a_part_of_a_node_takes_its_share_of_the_power_of_the_host() -> None:
    node = catalogue.typical("h100")
    assert node.of(2).host_watts == node.host_watts / 4
    assert node.of(64).host_watts == node.host_watts
