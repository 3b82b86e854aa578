"""A person asks for another try of a run that failed."""

from __future__ import annotations

from cupola_api.common import Attempt, Phase, RunStatus
from cupola_operator.children import text_of
from cupola_operator.decide.ending import SUCCEEDED
from cupola_operator.world import World


def forgiven(world: World) -> World:
    """The world after a new token of the annotation cupola.dev/retry was taken note of.

    Of a run that Failed without an artifact the attempts no longer count, its deadline counts from
    now, and it goes on from its newest checkpoint or finished stage. Else nothing but the token
    changes: it was handled.
    """
    status = world.status
    if world.retry == (status.retry or ""):
        return world
    update: dict[str, object] = {"retry": world.retry or None}
    if world.retry and status.phase is Phase.FAILED and status.artifact is None:
        run = status.run or RunStatus(revision=world.revision)
        update |= {
            "phase": Phase.RECOVERING,
            "run": run.model_copy(update={"started_at": text_of(world.now)}),
            "attempts": [_forgiven(attempt) for attempt in status.attempts],
        }
    return world.with_status(status.model_copy(update=update))


def _forgiven(attempt: Attempt) -> Attempt:
    failed = attempt.outcome not in (None, SUCCEEDED)
    return attempt.model_copy(update={"forgiven": attempt.forgiven or failed})
