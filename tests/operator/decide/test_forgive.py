from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api.artifact import digest_of
from cupola_api.common import Artifact, Attempt, Phase, RunStatus
from cupola_operator.cluster import key_of
from cupola_operator.decide import decide
from cupola_operator.decide.forgive import forgiven

DIGEST = digest_of("run")
ATTEMPTS = [
    Attempt(number=1, name="a", outcome="Failed"),
    Attempt(number=2, name="b", outcome="Stopped", reason="DeadlineExceeded"),
    Attempt(number=3, name="c", outcome="Succeeded"),
    Attempt(number=4, name="d"),
]


@pytest.fixture
def failed(kit: Any) -> Any:
    """The world of a run that failed."""
    cluster = kit.Cluster()
    seen = kit.world(cluster, key_of(cluster.create(kit.resource("PretrainJob"))))
    run = RunStatus(revision=1, digest=DIGEST, started_at="2025-01-01T00:00:00Z")
    update = {"phase": Phase.FAILED, "attempts": ATTEMPTS, "run": run}
    return replace(seen, retry="please", status=seen.status.model_copy(update=update))


def test_failed_attempts_are_forgiven_and_time_begins_again(failed: Any) -> None:
    status = forgiven(failed).status
    assert [a.forgiven for a in status.attempts] == [True, True, False, False]
    assert (status.phase, status.retry) == (Phase.RECOVERING, "please")
    assert status.run == RunStatus(revision=1, digest=DIGEST, started_at="2026-01-01T00:00:00Z")


def test_a_run_of_which_status_says_nothing_begins_with_its_revision(failed: Any) -> None:
    bare = replace(failed, status=failed.status.model_copy(update={"run": None}))
    assert forgiven(bare).status.run == RunStatus(revision=1, started_at="2026-01-01T00:00:00Z")


def test_a_token_counts_once(failed: Any) -> None:
    handled = replace(failed, status=failed.status.model_copy(update={"retry": "please"}))
    assert forgiven(handled) is handled
    quiet = replace(failed, retry="")
    assert forgiven(quiet) is quiet


@pytest.mark.parametrize(
    "update",
    [
        {"phase": Phase.RUNNING},
        {"phase": Phase.SUCCEEDED},
        {"artifact": Artifact(uri="file:///a", digest=digest_of("a"), bytes=1)},
    ],
)
def test_where_there_is_nothing_to_try_again_the_token_is_noted(
    failed: Any, update: dict[str, Any]
) -> None:
    world = replace(failed, status=failed.status.model_copy(update=update))
    assert forgiven(world).status == world.status.model_copy(update={"retry": "please"})


def test_a_token_that_is_taken_away_asks_for_nothing(failed: Any) -> None:
    before = failed.status.model_copy(update={"retry": "please"})
    world = replace(failed, retry="", status=before)
    assert forgiven(world).status == before.model_copy(update={"retry": None})


def test_a_failed_run_goes_on_when_it_is_asked_to(failed: Any) -> None:
    stays = decide(replace(failed, retry=""))
    assert stays.status
    assert stays.status.phase is Phase.FAILED
    goes = decide(failed)
    assert goes.status
    assert goes.status.phase is not Phase.FAILED
    assert goes.status.retry == "please"
