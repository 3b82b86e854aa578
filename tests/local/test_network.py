from __future__ import annotations

import ipaddress
import socket

from cupola_operator.local.network import address, free_port


def test_addresses_are_loopback_and_differ_by_owner_and_name() -> None:
    found = {address(owner, f"pod-{i}") for owner in ("a", "b") for i in range(100)}
    assert len(found) == 200
    assert all(ipaddress.ip_address(one).is_loopback for one in found)
    assert not any(one.startswith("127.0.") for one in found)
    assert address("a", "pod-1") == address("a", "pod-1")


def test_two_pods_serve_on_the_same_port() -> None:
    with socket.socket() as one, socket.socket() as two:
        one.bind((address("a", "x"), 0))
        port = one.getsockname()[1]
        one.listen()
        two.bind((address("a", "y"), port))
        two.listen()


def test_a_port_in_use_is_passed_over() -> None:
    port = free_port("job")
    assert 20_000 <= port < 30_000
    with socket.socket() as taken:
        taken.bind(("", port))
        taken.listen()
        assert free_port("job") not in (port, None)
    assert free_port("job") == port
