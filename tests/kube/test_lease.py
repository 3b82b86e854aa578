from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from cupola_operator.kube.lease import Election, Sight, Terms, claim, released

from .proxy import cut

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
STAMP = "2026-01-02T03:04:05.000678Z"
TERMS = Terms()


def lease(holder: str, version: str = "7", duration: int = 15) -> dict[str, Any]:
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": duration,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:00.000000Z",
        "leaseTransitions": 3,
    }
    return {"metadata": {"resourceVersion": version}, "spec": spec}


def decide(there: Any, seen: Sight | None = None, now: float = 100.0) -> Any:
    return claim(there, "me", seen, now=now, time=NOW, terms=TERMS)


def test_a_lease_that_is_not_there_is_mine() -> None:
    seen, spec = decide(None)
    assert seen is None
    assert spec == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "acquireTime": STAMP,
        "renewTime": STAMP,
        "leaseTransitions": 0,
    }


def test_my_own_is_renewed() -> None:
    _, spec = decide(lease("me"))
    assert spec["renewTime"] == STAMP
    assert (spec["acquireTime"], spec["leaseTransitions"]) == ("2026-01-01T00:00:00.000000Z", 3)


def test_one_that_was_given_back_is_taken_at_once() -> None:
    _, spec = decide({**lease("other"), "spec": released(lease("other")["spec"])})
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("me", 4)


def test_anothers_is_waited_for_from_when_it_is_first_seen() -> None:
    seen, spec = decide(lease("other"))  # whatever its times say: clocks may be wrong
    assert (seen, spec) == (Sight("7", 100.0), None)
    seen, spec = decide(lease("other"), seen, now=115.0)
    assert (seen, spec) == (Sight("7", 100.0), None)
    _, spec = decide(lease("other"), seen, now=115.1)
    assert spec["holderIdentity"] == "me"


def test_a_renewal_by_another_begins_the_wait_anew() -> None:
    seen, spec = decide(lease("other", version="8"), Sight("7", 100.0), now=200.0)
    assert (seen, spec) == (Sight("8", 200.0), None)


def test_another_with_a_longer_lifetime_is_waited_for_that_long() -> None:
    _, spec = decide(lease("other", duration=60), Sight("7", 100.0), now=150.0)
    assert spec is None


class Replica:
    """An election in a thread, and what it did."""

    def __init__(
        self,
        make: Callable[[], Any],
        namespace: str,
        name: str,
        acting: list[str],
        lifetime: float,
    ) -> None:
        self.acting, self.name = acting, name
        self.stop = threading.Event()
        self.election = Election(
            make(),
            namespace=namespace,
            identity=name,
            begin=lambda: acting.append(name),
            end=lambda: acting.remove(name),
            terms=Terms(lifetime=lifetime, renew=0.5, retry=0.2, margin=1.0),
        )
        self.thread = threading.Thread(target=self.election.run, args=(self.stop,))
        self.thread.start()

    def die(self) -> None:
        """End without a word; what it did stops with it."""
        self.stop.set()
        self.thread.join(20)
        if self.name in self.acting:
            self.acting.remove(self.name)


@pytest.fixture
def replicas(api: Any, namespace: str) -> Iterator[Callable[..., Replica]]:
    made: list[Replica] = []
    acting: list[str] = []

    def start(name: str, url: str | None = None, lifetime: float = 3.0) -> Replica:
        made.append(Replica(lambda: api(url=url), namespace, name, acting, lifetime))
        return made[-1]

    yield start
    for one in made:
        one.die()


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.02)


@pytest.mark.apiserver
def test_one_of_two_acts_and_the_other_takes_over_when_it_dies(
    replicas: Callable[..., Replica],
) -> None:
    one = replicas("one")
    until(lambda: one.acting == ["one"])
    two = replicas("two")
    one.stop.set()  # killed: it gives nothing back
    one.thread.join(20)
    died = one.election._until + 1.0  # by when its Lease has ended
    one.die()
    until(lambda: two.acting == ["two"])
    assert time.monotonic() >= died
    assert two.election.left() > 0


@pytest.mark.apiserver
def test_a_lease_that_is_given_back_passes_on_at_once(replicas: Callable[..., Replica]) -> None:
    one = replicas("one", lifetime=300.0)
    until(lambda: one.acting == ["one"])
    two = replicas("two", lifetime=300.0)
    one.die()
    one.election.release()
    assert one.election.left() <= 0
    until(lambda: two.acting == ["two"])  # minutes before it ends by itself


@pytest.mark.apiserver
def test_a_replica_that_cannot_renew_stops_before_another_acts(
    replicas: Callable[..., Replica], proxy: Any
) -> None:
    one = replicas("one", proxy.url)
    until(lambda: one.acting == ["one"])
    two = replicas("two")
    proxy.misbehave("PUT", *[cut] * 1000)
    proxy.misbehave("GET", *[cut] * 1000)
    together = []
    deadline = time.monotonic() + 20
    while two.acting != ["two"] and time.monotonic() < deadline:
        together.append(len(two.acting))
        assert one.election.left() <= 0 or two.election.left() <= 0
        time.sleep(0.01)
    assert two.acting == ["two"]
    assert max(together) == 1  # never both
    assert 0 in together  # and for a while none


@pytest.mark.apiserver
def test_a_lease_that_somebody_deleted_is_not_held_any_more(
    replicas: Callable[..., Replica], server: Any, namespace: str
) -> None:
    one = replicas("one", lifetime=300.0)
    until(lambda: one.acting == ["one"])
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    (before,) = server.call("GET", path)["items"]
    server.call("DELETE", f"{path}/cupola-operator")

    def again() -> bool:
        items = server.call("GET", path)["items"]
        return any(one["metadata"]["uid"] != before["metadata"]["uid"] for one in items)

    until(again)  # minutes before the deleted one would have ended
    until(lambda: one.acting == ["one"])


@pytest.mark.apiserver
def test_of_many_one_acts(replicas: Callable[..., Replica]) -> None:
    all_of_them = [replicas(f"replica-{number}", lifetime=300.0) for number in range(4)]
    until(lambda: bool(all_of_them[0].acting))
    for _ in range(50):
        assert len(all_of_them[0].acting) == 1
        time.sleep(0.02)
