"""Attempts that are charged, in few words: pods by the seconds of their start and end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from cupola_api.common import Attempt
from cupola_api.spent import Causes, Told
from cupola_operator.children import Placement, Pod, text_of
from cupola_operator.cost import ledger
from cupola_operator.cost.causes import NAMES
from cupola_operator.pools import Pool

ZERO = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = Decimal("0.0001")
"""Price of a device second."""


def at(second: float) -> datetime:
    return ZERO + timedelta(seconds=second)


def pool(**fields: Any) -> Pool:
    plain = {"name": "a", "device": "Gpu", "gpusPerNode": 2, "gpuWatts": 1, "gpu": "a100-80g"}
    return Pool.model_validate({"pricePerGpuHour": "0.36", **plain, **fields})


def placement(**fields: Any) -> Placement:
    return Placement(pool=pool(**fields), currency="USD", image="i")


def pod(uid: str, start: float | None, end: float | None = None, **more: Any) -> Pod:
    return Pod(
        name=uid,
        uid=uid,
        gpus=more.pop("gpus", 2),
        started=None if start is None else at(start),
        finished=None if end is None else at(end),
        terminal=end is not None,
        exit_code=more.pop("code", 1),
        **more,
    )


def told(first: float | None = None, saving: str = "0", validating: str = "0") -> Told:
    return Told(
        first_step_at=None if first is None else text_of(at(first)),
        checkpoint_seconds=saving,
        evaluation_seconds=validating,
    )


def split(attempt: Attempt, *, money: bool = False) -> dict[str, str]:
    """The causes that are not 0, as device seconds or as money."""
    found = attempt.costs if money else attempt.causes
    assert found
    return {name: value for name in NAMES if (value := getattr(found, name)) != "0"}


def charge(outcome: str | None, pods: list[Pod], said: Told | None = None, **more: Any) -> Attempt:
    attempt = Attempt(number=1, name="a", outcome=outcome, told=said)
    more = {"placement": placement(), "gang": 2, "now": at(200)} | more
    return ledger.charge(attempt, pods, **more)


def add_up(found: Attempt) -> Causes:
    """The device seconds by cause; they and the money by cause make up the whole."""
    assert found.causes
    assert found.costs
    for whole, parts in ((found.gpu_seconds, found.causes), (found.cost, found.costs)):
        amounts = [Decimal(getattr(parts, name)) for name in NAMES]
        assert sum(amounts) == Decimal(whole or 0)
        assert min(amounts) >= 0
    return found.causes


TIMES = st.none() | st.integers(-5, 70)
