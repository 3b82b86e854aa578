"""Asks for answers side by side, within the budget, and keeps them as they come."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Event

from cupola_api.outcome import FailureClass
from cupola_api.run import GenerateRun
from cupola_api.synthetic import Endpoint
from cupola_trainer.curate.synthetic.answers import Answer
from cupola_trainer.curate.synthetic.budget import Budget
from cupola_trainer.curate.synthetic.endpoint import Failed, Pause, Service
from cupola_trainer.curate.synthetic.requests import Request
from cupola_trainer.pod import PodFailure
from cupola_trainer.termination import Termination

IN_A_ROW = 20
"""Failed requests in a row from which the endpoint counts as broken; see `_Row`."""

_LOOK = 0.5
"""Seconds after which it is looked at what takes too long, and whether the pod shall end."""

_LAST = 20.0
"""Seconds for which answers under way are waited for when no more are asked for."""

Keep = Callable[[Sequence[Answer]], None]
"""Keeps answers for good."""

_Running = dict[Future[Answer | Failed], Request]


class Stopped(Exception):
    """The pod was asked to end; what was answered is kept."""


def ask(
    run: GenerateRun,
    endpoint: Endpoint,
    requests: Sequence[Request],
    budget: Budget,
    keep: Keep,
    *,
    went_well: bool = False,
    pause: Pause | None = None,
) -> tuple[set[str], bool]:
    """Ask an endpoint for the answers to requests.

    Returns the keys of those that failed for good, and whether the budget allowed all of them. An answer is kept before another request is sent in its place: so never more than
    `run.concurrency` are not kept, however this ends. `went_well`: some were answered before.
    Raises PodFailure if the endpoint refuses or counts as broken, Stopped after SIGTERM.
    """
    ending = Event()
    service = Service(run, endpoint, pause or ending.wait)
    waiting = deque(requests)
    running: _Running = {}
    row = _Row(service.host, went_well=went_well)
    pool = ThreadPoolExecutor(max_workers=run.concurrency)
    with Termination() as termination:
        try:
            while waiting or running:
                if termination.asked:
                    raise Stopped
                while waiting and len(running) < run.concurrency and budget.hold(waiting[0]):
                    one = waiting.popleft()
                    running[pool.submit(service.ask, one)] = one
                if not running:
                    break
                done, _ = wait(running, timeout=_LOOK, return_when=FIRST_COMPLETED)
                service.cut_late()
                _take(running, done, budget, keep, row)
            row.end()
        finally:
            ending.set()
            pool.shutdown(wait=False, cancel_futures=True)
            _end(service, running, keep)
    return row.failed, not waiting


def _take(
    running: _Running,
    done: Iterable[Future[Answer | Failed]],
    budget: Budget,
    keep: Keep,
    row: _Row,
) -> None:
    """Keep what was answered, then see to what was not. Raises PodFailure."""
    error, good, bad = None, [], []
    for future in done:
        request = running.pop(future)
        if found := future.exception():
            error = error or found
        elif isinstance(said := future.result(), Failed):
            bad.append((request, said))
        else:
            good.append(said)
    keep(good)
    for answer in good:
        budget.settle(answer)
        row.good()
    if error:
        raise error
    for request, said in bad:
        if said.refused:
            budget.release(request)
        row.bad(request, said)


def _end(service: Service, running: _Running, keep: Keep) -> None:
    """Keep what is answered soon, and cut off the rest."""
    left = {one for one in running if not one.cancelled()}
    deadline = time.monotonic() + _LAST
    try:
        while left and (seconds := deadline - time.monotonic()) > 0:
            done, left = wait(left, timeout=seconds, return_when=FIRST_COMPLETED)
            keep(_good(done))
    finally:
        service.cut_all()
    keep(_good(wait(left).done))


def _good(done: Iterable[Future[Answer | Failed]]) -> list[Answer]:
    said = [one.result() for one in done if one.exception() is None]
    return [one for one in said if isinstance(one, Answer)]


class _Row:
    """Failed requests since the last answer.

    As long as nothing has gone well, all count. From then on a refusal is the fault of what was
    asked, and shows that the endpoint is there; only requests without an answer count.
    """

    def __init__(self, host: str, *, went_well: bool) -> None:
        self.failed: set[str] = set()
        """Keys of all requests that failed."""
        self._host = host
        self._went_well = went_well
        self._row: list[Failed] = []

    def good(self) -> None:
        """There is an answer."""
        self._went_well = True
        self._row = []

    def bad(self, request: Request, said: Failed) -> None:
        """There is none. Raises PodFailure if it is one too many."""
        self.failed.add(request.key)
        if said.refused and self._went_well:
            self._row = []
            return
        self._row.append(said)
        if len(self._row) >= IN_A_ROW:
            raise self._failure()

    def end(self) -> None:
        """All are asked for. Raises PodFailure if nothing has gone well."""
        if self._row and not self._went_well:
            raise self._failure()

    def _failure(self) -> PodFailure:
        why = Counter(one.why for one in self._row).most_common(3)
        said = ", ".join(f"{count} with {one}" for one, count in why)
        if all(one.refused for one in self._row):
            return PodFailure(
                "RequestsRefused",
                f"the endpoint {self._host} refused the first {len(self._row)} requests ({said}); see "
                "whether its model takes prompts of that length, maxTokens, temperature and topP",
                FailureClass.USER,
            )
        return PodFailure(
            "EndpointFailed",
            f"the endpoint {self._host} failed {len(self._row)} requests in a row ({said}); see to it; "
            "the next attempt asks for what is missing",
            FailureClass.INFRASTRUCTURE,
        )
