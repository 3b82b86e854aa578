"""What a share may use up: before each request it is made sure that even the longest answer fits."""

from __future__ import annotations

from decimal import Decimal

from cupola_api.run import GenerateRun
from cupola_api.synthetic import EndpointPrice
from cupola_trainer.curate.synthetic.answers import Answer
from cupola_trainer.curate.synthetic.requests import Request

_FORM = 64
"""Tokens, at most, by which the form of a conversation is longer than what is said in it."""

_MILLION = 1_000_000


def cost(price: EndpointPrice, read: int, written: int) -> Decimal:
    """What an endpoint takes for tokens of prompts and of answers."""
    per = Decimal(price.input_per_million), Decimal(price.output_per_million)
    return (read * per[0] + written * per[1]) / _MILLION


class Budget:
    """The tokens and the money of one share: an equal part of the run's."""

    def __init__(self, run: GenerateRun) -> None:
        self._run = run
        self._price = run.endpoint.price if run.endpoint else None
        self._tokens = None if run.budget_tokens is None else run.budget_tokens // run.shares
        self._cost = None if run.budget_cost is None else Decimal(run.budget_cost) / run.shares
        self._held: dict[str, tuple[int, int]] = {}
        """Tokens of prompt and answer of each request: the most, until they are known."""
        self._read = self._written = 0

    def hold(self, request: Request) -> bool:
        """Set aside the most that a request can use up; false if that is more than is left."""
        self._put(request.key, request.bytes + _FORM, self._run.max_tokens)
        if self._within():
            return True
        self._put(request.key, 0, 0)
        return False

    def release(self, request: Request) -> None:
        """Set nothing aside for a request that was refused."""
        self._put(request.key, 0, 0)

    def settle(self, answer: Answer) -> None:
        """Count what an answer used up instead of what was set aside for it."""
        self._put(answer.key, answer.input_tokens, answer.output_tokens)

    def _put(self, key: str, read: int, written: int) -> None:
        before = self._held.get(key, (0, 0))
        self._held[key] = (read, written)
        self._read += read - before[0]
        self._written += written - before[1]

    def _within(self) -> bool:
        if self._tokens is not None and self._read + self._written > self._tokens:
            return False
        if self._cost is None or self._price is None:
            return True
        return cost(self._price, self._read, self._written) <= self._cost
