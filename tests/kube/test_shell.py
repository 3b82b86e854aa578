"""What a replica says of itself when no cluster answers, or something in it is dead."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes.client import Configuration

from cupola_operator.kube import shell
from cupola_operator.kube.checks import Installation
from cupola_operator.kube.shell import Options, Shell
from cupola_operator.kube.watching import DEAD_SECONDS, Stream
from cupola_operator.settings import Settings

from .operating import SETTINGS


@pytest.fixture
def replica() -> Shell:
    configuration: Any = Configuration()
    configuration.host = "http://127.0.0.1:9"
    options = Options(namespaces=(), own_namespace="ns", identity="me")
    return Shell(configuration, Settings.model_validate(SETTINGS), options)


def alive(replica: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for thread in replica._threads.values():
        monkeypatch.setattr(thread, "is_alive", lambda: True)


def test_before_the_cluster_was_looked_at_it_is_not_ready(replica: Shell) -> None:
    assert replica._readiness() == ("the cluster is being looked at\n", False, shell.Page("").kind)


def test_it_is_ready_when_all_is_there_and_listed(replica: Shell) -> None:
    replica._installation = Installation()
    assert replica._readiness()[:2] == ("the resources are being listed\n", False)
    replica._listed = True
    assert replica._readiness()[:2] == ("ok\n", True)


def test_it_is_not_ready_without_what_it_needs(replica: Shell) -> None:
    replica._listed = True
    replica._installation = Installation(missing=("a permission",), lacking=("an operator",))
    assert replica._readiness()[:2] == ("a permission\nan operator\n", False)
    replica._installation = Installation(lacking=("an operator",))
    assert replica._readiness()[:2] == ("an operator\n", True)


def test_a_dead_watch_asks_for_a_restart(replica: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    alive(replica, monkeypatch)
    now = [0.0]
    replica._signs._clock = lambda: now[0]
    replica._signs.expect([Stream("pods"), Stream("jobs")])
    now[0] = DEAD_SECONDS - 1
    replica._signs.of(Stream("jobs"))
    assert replica._health()[:2] == ("ok\n", True)
    now[0] = DEAD_SECONDS + 1
    assert replica._health()[:2] == ("the watch of pods gave no sign for 421 s\n", False)


def test_a_dead_queue_asks_for_a_restart(replica: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    alive(replica, monkeypatch)
    monkeypatch.setattr(replica._queue, "stuck", lambda: shell.STUCK_SECONDS + 1)
    assert replica._health()[:2] == ("the queue has not moved for 301 s\n", False)


def test_a_dead_thread_asks_for_a_restart(replica: Shell) -> None:
    text, good = replica._health()[:2]
    assert text == "thread tend has ended\nthread lease has ended\n"
    assert not good


def test_a_replica_that_does_not_lead_says_nothing_of_resources(replica: Shell) -> None:
    replica._seen.put(
        {
            "apiVersion": "cupola.dev/v1alpha1",
            "kind": "Dataset",
            "metadata": {"name": "data", "namespace": "ns"},
        }
    )
    assert 'name="data"' not in replica._page().text
    replica._election._until = float("inf")
    assert 'name="data"' in replica._page().text
