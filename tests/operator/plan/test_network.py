from __future__ import annotations

import dataclasses

import pytest

from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.network import Network

A100 = catalogue.typical("a100-80g")
GB = 1e9


def test_a_ring_in_a_node_has_the_bus_bandwidth_that_nccl_tests_report() -> None:
    seconds = Network(A100.of(8)).ring(GB, 8, stride=1)
    assert GB * 7 / 8 / seconds == pytest.approx(235 * GB, rel=0.05)


def test_a_ring_of_whole_nodes_has_the_network_of_a_node() -> None:
    machine = dataclasses.replace(A100, network=50 * GB).of(64)
    seconds = Network(machine).ring(GB, 64, stride=1)
    assert GB * 63 / 64 / seconds == pytest.approx(0.8 * 50 * GB, rel=0.05)


def test_rings_of_every_eighth_rank_share_the_network() -> None:
    network = Network(dataclasses.replace(A100, network=50 * GB).of(64))
    alone, shared = network.ring(GB, 64, stride=1), network.ring(GB, 8, stride=8)
    assert 6 < shared / alone < 8


def test_a_ring_is_never_faster_than_the_links_of_a_node() -> None:
    fast = dataclasses.replace(A100, network=10_000 * GB)
    network = Network(fast.of(64))
    assert network.ring(GB, 64, stride=1) >= network.ring(GB, 8, stride=1)


def test_one_rank_sends_nothing() -> None:
    network = Network(A100)
    assert network.ring(GB, 1, stride=1) == network.exchange(GB, 1, stride=1) == 0


def test_small_messages_take_the_latency_of_their_hops() -> None:
    network = Network(A100.of(16_384))
    assert network.ring(0, 16_384, stride=1) == pytest.approx(2047e-5 + 14_336 * 2e-6)
    assert network.hop(0, far=True) > network.hop(0, far=False) > 0


def test_an_exchange_in_a_node_uses_the_links_and_across_nodes_the_share_of_a_device() -> None:
    network = Network(A100.of(16))
    inside, across = network.exchange(GB, 8, stride=1), network.exchange(GB, 16, stride=1)
    assert inside == pytest.approx(GB * 7 / 8 / (240 * GB), rel=0.01)
    assert across == pytest.approx(GB / 2 / (20 * GB), rel=0.01)
    assert network.exchange(GB, 8, stride=2) == pytest.approx(across, rel=0.01)
