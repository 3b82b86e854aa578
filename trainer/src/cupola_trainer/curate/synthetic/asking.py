"""Asks for answers side by side, within the budget, and keeps them as they come."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from cupola_api.outcome import FailureClass
from cupola_api.run import GenerateRun
from cupola_api.synthetic import Endpoint
from cupola_trainer.curate.synthetic.answers import Answer
from cupola_trainer.curate.synthetic.budget import Budget
from cupola_trainer.curate.synthetic.endpoint import Pause, Service
from cupola_trainer.curate.synthetic.requests import Request
from cupola_trainer.pod import PodFailure

IN_A_ROW = 20
"""Failed requests without a good one between them, from which the endpoint counts as broken."""

_KEEP_SECONDS = 5.0
_KEEP_ANSWERS = 32

Keep = Callable[[Sequence[Answer]], None]
"""Keeps answers for good."""


def ask(
    run: GenerateRun,
    endpoint: Endpoint,
    requests: Sequence[Request],
    budget: Budget,
    keep: Keep,
    *,
    went_well: bool = False,
    pause: Pause | None = None,
) -> bool:
    """Ask an endpoint for the answers to requests; whether the budget allowed all of them.

    A request that fails for good is an answer too, as long as others go well; `went_well`: some did
    before. Raises PodFailure if the endpoint refuses, or if many requests fail in a row; what was
    answered is kept first.
    """
    ending = threading.Event()
    service = Service(run, endpoint, pause or ending.wait)
    waiting = deque(requests)
    running: dict[Future[Answer], Request] = {}
    hopper = _Hopper(keep, went_well=went_well)
    pool = ThreadPoolExecutor(max_workers=run.concurrency)
    try:
        while waiting or running:
            while waiting and len(running) < run.concurrency and budget.hold(waiting[0]):
                one = waiting.popleft()
                running[pool.submit(service.ask, one)] = one
            if not running:
                break
            done, _ = wait(running, timeout=_KEEP_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                _take(run, service, future.result(), budget, hopper)
            hopper.keep_soon()
        hopper.end(service.host)
        return not waiting
    finally:
        ending.set()
        pool.shutdown(wait=True, cancel_futures=True)
        ended = [one for one in running if not one.cancelled() and one.exception() is None]
        if good := [one.result() for one in ended if not one.result().failed]:
            hopper.good(good)
        hopper.keep_now()


def _take(
    run: GenerateRun, service: Service, answer: Answer, budget: Budget, hopper: _Hopper
) -> None:
    if answer.failed:
        hopper.bad(answer, service.host)
        return
    if budget.limited and not answer.input_tokens + answer.output_tokens:
        raise PodFailure(
            "UsageUnknown",
            f"the endpoint {service.host} does not say how many tokens an answer takes (usage), so "
            "no budget can be kept; leave synthetic.budget out",
            FailureClass.USER,
        )
    budget.settle(answer)
    hopper.good([answer])


class _Hopper:
    """Answers that wait to be kept; failures wait until an answer shows that others go well."""

    def __init__(self, keep: Keep, *, went_well: bool) -> None:
        self._keep = keep
        self._good: list[Answer] = []
        self._bad: list[Answer] = []
        self._any = went_well
        self._kept = time.monotonic()

    def good(self, answers: Sequence[Answer]) -> None:
        """Take answers, and the failures before them."""
        self._good += [*self._bad, *answers]
        self._bad = []
        self._any = True

    def bad(self, answer: Answer, host: str) -> None:
        """Take a failure. Raises PodFailure if it is one too many."""
        self._bad.append(answer)
        if len(self._bad) >= IN_A_ROW:
            raise self._failure(host)

    def end(self, host: str) -> None:
        """Take the last failures for good. Raises PodFailure if there is nothing else."""
        if self._bad and not self._any:
            raise self._failure(host)
        self.good([])

    def keep_soon(self) -> None:
        """Keep what waits, if it is much or waits for long."""
        late = time.monotonic() - self._kept > _KEEP_SECONDS
        if len(self._good) >= _KEEP_ANSWERS or (self._good and late):
            self.keep_now()

    def keep_now(self) -> None:
        """Keep what waits."""
        if self._good:
            self._keep(self._good)
        self._good = []
        self._kept = time.monotonic()

    def _failure(self, host: str) -> PodFailure:
        return PodFailure(
            "EndpointFailed",
            f"the endpoint {host} failed {len(self._bad)} requests in a row, the last with: "
            f"{self._bad[-1].failed}; see to it; the next attempt asks for what is missing",
            FailureClass.INFRASTRUCTURE,
        )
