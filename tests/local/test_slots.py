from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.cluster import Object
from cupola_operator.local.slots import admit, slots_of


def _pod(
    name: str,
    gpus: int = 1,
    *,
    created: int = 0,
    gang: str | None = None,
    size: int = 1,
    phase: str = "Pending",
) -> Object:
    metadata: dict[str, Any] = {
        "name": name,
        "uid": name,
        "labels": {"cupola.dev/gpus": str(gpus)},
        "creationTimestamp": f"2026-01-01T00:00:{created:02d}Z",
    }
    if gang:
        metadata["ownerReferences"] = [{"uid": gang}]
    env = [{"name": "PET_NNODES", "value": str(size)}] if gang else []
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "main", "env": env}]},
        "status": {"phase": phase},
    }


def _admit(pods: list[Object], *, taken: int = 0, slots: int = 2) -> list[str]:
    return [pod["metadata"]["name"] for pod in admit(pods, taken=taken, slots=slots).start]


def test_pods_start_in_the_order_they_came_while_there_is_room() -> None:
    pods = [_pod("c", created=3), _pod("a", created=1), _pod("b", created=2)]
    assert _admit(pods) == ["a", "b"]


def test_a_waiting_pod_is_told_what_is_free() -> None:
    verdict = admit([_pod("a", 2)], taken=1, slots=2)
    assert [reason for _, reason in verdict.wait] == [
        "0/1 nodes are available: 1 of 2 slots are free, 2 are needed"
    ]


def test_a_large_pod_at_the_head_of_the_line_is_not_overtaken() -> None:
    pods = [_pod("large", 2, created=1), _pod("small", 1, created=2)]
    assert _admit(pods, taken=1) == []
    assert _admit(pods, taken=0) == ["large"]


def test_a_gang_starts_whole_or_not_at_all() -> None:
    gang = [_pod(f"g-{i}", gang="g", size=2) for i in range(2)]
    assert _admit(gang, taken=1) == []
    assert _admit(gang, taken=0) == ["g-0", "g-1"]


def test_two_gangs_do_not_hold_half_of_the_machine_each() -> None:
    pods = [_pod(f"{g}-{i}", gang=g, size=2, created=i) for i in range(2) for g in ("g", "h")]
    assert _admit(pods) == ["g-0", "g-1"]


def test_an_incomplete_gang_waits_and_holds_nobody_up() -> None:
    pods = [_pod("g-0", gang="g", size=2), _pod("x", created=9)]
    verdict = admit(pods, taken=0, slots=2)
    assert [p["metadata"]["name"] for p in verdict.start] == ["x"]
    assert verdict.wait[0][1] == "waiting for 1 more pods of its PyTorchJob"


def test_a_pod_made_again_joins_its_running_gang_alone() -> None:
    pods = [_pod("g-0", gang="g", size=2, phase="Running"), _pod("g-1", gang="g", size=2)]
    assert _admit(pods, taken=1) == ["g-1"]


def test_a_pod_larger_than_the_node_runs_alone() -> None:
    pods = [_pod("huge", 8, created=1), _pod("small", created=2)]
    assert _admit(pods, taken=1) == []
    assert _admit(pods, taken=0) == ["huge"]


def test_pods_that_run_end_or_go_do_not_wait() -> None:
    going = _pod("going")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    pods = [_pod("a", phase="Running"), _pod("b", phase="Failed"), going]
    verdict = admit(pods, taken=0, slots=2)
    assert (verdict.start, verdict.wait) == ([], [])


def test_a_label_that_is_no_number_counts_one() -> None:
    pod = _pod("a")
    pod["metadata"]["labels"]["cupola.dev/gpus"] = "many"
    assert slots_of(pod) == 1
    pod["metadata"]["labels"]["cupola.dev/gpus"] = "0"
    assert slots_of(pod) == 1
    del pod["metadata"]["labels"]
    assert slots_of(pod) == 1


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), max_size=8),
    st.integers(0, 4),
    st.integers(1, 4),
)
def test_never_too_much_and_never_part_of_a_gang(
    gangs: list[tuple[int, int]], taken: int, slots: int
) -> None:
    pods = [
        _pod(f"{g}-{i}", gpus, gang=f"gang{g}", size=size, created=g)
        for g, (gpus, size) in enumerate(gangs)
        for i in range(size)
    ]
    verdict = admit(pods, taken=taken, slots=slots)
    assert len(verdict.start) + len(verdict.wait) == len(pods)
    started = {pod["metadata"]["ownerReferences"][0]["uid"] for pod in verdict.start}
    waiting = {pod["metadata"]["ownerReferences"][0]["uid"] for pod, _ in verdict.wait}
    assert not started & waiting
    used = sum(slots_of(pod) for pod in verdict.start)
    assert taken + used <= slots or (taken == 0 and len(started) == 1) or not started
    if pods and taken == 0:
        assert started, "an idle node must start something"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("gang"), st.integers(1, 4), st.integers(1, 4)),
            st.tuples(st.sampled_from(["end", "delete", "again"]), st.integers(0, 50), st.just(0)),
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 4),
)
def test_slots_are_never_exceeded_in_any_order_of_events(
    events: list[tuple[str, int, int]], slots: int
) -> None:
    """Gangs come; pods end, are deleted, and are made again as the training operator does."""
    pods: dict[str, Object] = {}
    number = 0
    for what, a, b in events:
        names = sorted(pods)
        if what == "gang":
            number += 1
            for index in range(a):
                pod = _pod(f"g{number}-{index}", b, gang=f"g{number}", size=a, created=number)
                pods[pod["metadata"]["name"]] = pod
        elif names:
            name = names[a % len(names)]
            if what == "end":
                pods[name]["status"]["phase"] = "Succeeded"
            else:
                gone = pods.pop(name)
                if what == "again":
                    gone["status"]["phase"] = "Pending"
                    pods[name] = gone
        running = [pod for pod in pods.values() if pod["status"]["phase"] == "Running"]
        taken = sum(map(slots_of, running))
        verdict = admit(list(pods.values()), taken=taken, slots=slots)
        for pod in verdict.start:
            assert pod["status"]["phase"] == "Pending"
            pod["status"]["phase"] = "Running"
        running += verdict.start
        owners = {pod["metadata"]["ownerReferences"][0]["uid"] for pod in running}
        used = sum(map(slots_of, running))
        assert used <= slots or len(owners) == 1, "but for one gang that is larger than the node"
        waiting = [pod for pod in pods.values() if pod["status"]["phase"] == "Pending"]
        assert len(waiting) == len(verdict.wait), "who waits is told why"
        assert running or not waiting or all("more pods" in reason for _, reason in verdict.wait)
