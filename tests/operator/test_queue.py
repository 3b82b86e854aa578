from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from cupola_operator import queue
from cupola_operator.cluster import Key
from cupola_operator.queue import Queue

A, B = Key("Dataset", "default", "a"), Key("Dataset", "default", "b")


@pytest.fixture
def running() -> Iterator[Callable[[Callable[[Key], float | None], int], Queue]]:
    started = []

    def start(reconcile: Callable[[Key], float | None], workers: int = 2) -> Queue:
        one = Queue(reconcile)
        one.run(workers)
        started.append(one)
        return one

    yield start
    for one in started:
        one.stop()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.001)


def test_a_key_waits_at_most_once(running: Callable[..., Queue]) -> None:
    seen: list[Key] = []
    one = Queue(seen.append)
    for _ in range(50):
        one.wake(A)
        one.wake(B)
    one.run(2)
    eventually(lambda: len(seen) >= 2)
    one.stop()
    assert sorted(seen) == [A, B]


def test_one_worker_a_key_and_a_wake_during_work_is_worked_on_after_it(
    running: Callable[..., Queue],
) -> None:
    at_work, most, runs = 0, 0, 0
    lock, gate = threading.Lock(), threading.Event()

    def reconcile(_: Key) -> None:
        nonlocal at_work, most, runs
        with lock:
            at_work, runs = at_work + 1, runs + 1
            most = max(most, at_work)
        gate.wait(5)
        with lock:
            at_work -= 1

    one = running(reconcile, 4)
    one.wake(A)
    eventually(lambda: runs == 1)
    for _ in range(10):
        one.wake(A)
    gate.set()
    eventually(lambda: runs == 2)
    time.sleep(0.05)
    assert (most, runs) == (1, 2)


def test_different_keys_are_worked_on_side_by_side(running: Callable[..., Queue]) -> None:
    both = threading.Barrier(2, timeout=5)
    met: list[Key] = []

    def reconcile(key: Key) -> None:
        both.wait()
        met.append(key)

    one = running(reconcile, 2)
    one.wake(A)
    one.wake(B)
    eventually(lambda: len(met) == 2)


def test_the_earlier_of_two_times_counts(running: Callable[..., Queue]) -> None:
    seen: list[float] = []
    one = running(lambda _: seen.append(time.monotonic()))
    start = time.monotonic()
    one.wake(A, after=30)
    one.wake(A, after=0.05)
    one.wake(A, after=60)
    eventually(lambda: bool(seen))
    assert 0.05 <= seen[0] - start < 20
    assert len(seen) == 1


def test_a_result_asks_for_another_look(running: Callable[..., Queue]) -> None:
    times: list[float] = []

    def reconcile(_: Key) -> float | None:
        times.append(time.monotonic())
        return 0.05 if len(times) < 3 else None

    running(reconcile).wake(A)
    eventually(lambda: len(times) == 3)
    time.sleep(0.1)
    assert len(times) == 3
    assert times[2] - times[0] >= 0.1


def test_a_failing_key_backs_off_in_one_line_and_does_not_stop_the_others(
    running: Callable[..., Queue],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(queue, "FIRST_DELAY", 0.02)
    monkeypatch.setattr(queue, "LONGEST_DELAY", 0.05)
    caplog.set_level(logging.WARNING)
    times: list[float] = []
    others: list[Key] = []

    def reconcile(key: Key) -> None:
        if key == B:
            others.append(key)
            return
        times.append(time.monotonic())
        if len(times) <= 4:
            raise RuntimeError("the cluster is away")

    one = running(reconcile)
    one.wake(A)
    one.wake(B)
    eventually(lambda: len(times) == 5)
    assert others == [B]
    pauses = [after - before for before, after in pairwise(times)]
    assert all(
        pause >= least for pause, least in zip(pauses, [0.02, 0.04, 0.05, 0.05], strict=True)
    )
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 4
    assert lines[0].startswith("Dataset/a: RuntimeError: the cluster is away; next try in")
    assert "\n" not in lines[0]


def test_a_success_forgets_earlier_errors(
    running: Callable[..., Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "FIRST_DELAY", 0.01)
    count = 0

    def reconcile(_: Key) -> float | None:
        nonlocal count
        count += 1
        if count in (1, 2, 4):
            raise RuntimeError
        return 0.0 if count == 3 else None

    one = running(reconcile)
    one.wake(A)
    eventually(lambda: count == 5)
    assert one._errors == {}


def test_stop_lets_a_key_finish_and_starts_no_other() -> None:
    begun, gate, seen = threading.Event(), threading.Event(), []

    def reconcile(key: Key) -> None:
        begun.set()
        gate.wait(5)
        seen.append(key)

    one = Queue(reconcile)
    one.run(1)
    one.wake(A)
    one.wake(B, after=0.01)
    begun.wait(5)
    threading.Timer(0.05, gate.set).start()
    one.stop()
    assert seen == [A]
    assert not [t for t in threading.enumerate() if t.name.startswith("reconcile")]


def test_stop_does_not_wait_for_ever() -> None:
    gate = threading.Event()
    one = Queue(lambda _: gate.wait(10) and None)
    one.run(1)
    one.wake(A)
    start = time.monotonic()
    one.stop(timeout=0.05)
    assert time.monotonic() - start < 5
    gate.set()


def test_the_depth_is_what_is_due_and_waits(running: Callable[..., Queue]) -> None:
    free = threading.Event()
    begun = threading.Event()

    def reconcile(_: Key) -> None:
        begun.set()
        free.wait(20)

    one = running(reconcile, workers=1)
    assert one.depth() == 0
    one.wake(A)
    begun.wait(20)
    one.wake(B)
    one.wake(Key("Dataset", "default", "later"), after=60)
    assert one.depth() == 1
    free.set()
    eventually(lambda: one.depth() == 0)


def test_a_queue_is_stuck_while_nothing_moves_although_there_is_work(
    running: Callable[..., Queue],
) -> None:
    free = threading.Event()
    begun = threading.Event()

    def reconcile(_: Key) -> None:
        begun.set()
        free.wait(20)

    one = running(reconcile, workers=1)
    one.wake(Key("Dataset", "default", "later"), after=60)
    assert one.stuck() == 0.0
    one.wake(A)
    begun.wait(20)
    first = one.stuck()
    eventually(lambda: one.stuck() > first + 0.05)
    free.set()
    eventually(lambda: one.stuck() == 0.0)


def test_a_queue_without_workers_is_not_stuck() -> None:
    one = Queue(lambda _: None)
    one.wake(A)
    assert one.stuck() == 0.0
    assert one.depth() == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_queue_whose_workers_died_is_stuck(running: Callable[..., Queue]) -> None:
    def reconcile(_: Key) -> None:
        raise SystemExit  # ends its thread

    one = running(reconcile, workers=1)
    one.wake(A)
    one.wake(B)
    eventually(lambda: one.stuck() > 0.02)
