from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cupola_api import metrics
from cupola_api.artifact import digest_of
from cupola_api.common import Artifact, Attempt
from cupola_api.dataset import DatasetSummary
from cupola_api.outcome import FailureClass, Listing, Outcome, OutcomeKind, Worked
from cupola_operator import names
from cupola_operator.children import Job, Pod, Resolved
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import dataset, decide
from cupola_operator.decide.verdict import Create, Delete

ARTIFACT = Artifact(uri="file:///data/a", digest=digest_of("a"), bytes=1)
LISTING = Listing(uri="file:///data/l", digest=digest_of("l"), parts=4, files=9, bytes=1)
DONE = Outcome(outcome=OutcomeKind.SUCCEEDED)


def created(verdict: Any) -> Any:
    (action,) = verdict.actions
    return action.value


def resolved(kit: Any, **fields: Any) -> Any:
    """A world in which the sources of a Dataset are to be listed."""
    cluster = kit.Cluster()
    key = key_of(cluster.create(kit.resource("Dataset", **fields)))
    (create,) = decide(kit.world(cluster, key)).actions
    assert isinstance(create, Create)
    cluster.create(create.value)
    return kit.world(cluster, key)


def attempt(number: int, stage: str, outcome: str, **more: Any) -> Attempt:
    return Attempt(number=number, name=f"{stage}{number}", stage=stage, outcome=outcome, **more)


def listed(kit: Any, *attempts: Attempt, parts: int = 4, **fields: Any) -> Any:
    """A world in which the sources of a Dataset are listed and its curation is resolved."""
    world = resolved(kit, **fields)
    known = {"listing": LISTING.uri, "inputs_digest": LISTING.digest, "parts": parts}
    so_far = [attempt(1, "list", "Succeeded"), *attempts]
    status = world.status.model_copy(update={**known, "attempts": so_far})
    world = replace(world, status=status)
    run = Resolved.of(created(dataset.run(world)))
    return replace(world, runs={**world.runs, "data-dset-r1": run})


def running(stage: str, *pods: Any) -> dict[str, Any]:
    """The Job of a stage, and its pods: for each what it said, or None while it runs."""
    key = Key("Job", "default", f"data-dset-r1-{stage}-a1")
    made = [
        Pod(
            name=f"p{index}", uid=f"p{index}", owner="j", revision=1, stage=stage, attempt=1,
            index=index, started=datetime(2026, 1, 1, tzinfo=UTC), terminal=said is not None,
            exit_code=None if said is None else int(said.failure is not None), outcome=said,
        )
        for index, said in enumerate(pods)
    ]  # fmt: skip
    return {"jobs": (Job(key, "j", 1, stage, 1),), "pods": (*made,)}


def test_a_listing_is_followed_by_the_second_config_map(kit: Any) -> None:
    said = Outcome(outcome=OutcomeKind.SUCCEEDED, listing=LISTING)
    verdict = dataset.run(replace(resolved(kit), **running("list", said)))
    assert (verdict.phase, verdict.reason) == ("Pending", "Resolving")
    value = created(verdict)
    assert value["metadata"]["name"] == "data-dset-r1"
    run = Resolved.of(value)
    assert run
    assert run.run.parts == 4
    assert verdict.status.listing == LISTING.uri
    assert verdict.status.attempts[0].outcome == "Succeeded"


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("summed_up", [True, False])
def test_a_listing_may_find_the_data_published_already(
    kit: Any, lists: bool, summed_up: bool
) -> None:
    said = Outcome(
        outcome=OutcomeKind.SUCCEEDED,
        listing=LISTING if lists else None,
        artifact=ARTIFACT,
        dataset=DatasetSummary.model_validate(kit.summary()) if summed_up else None,
    )
    verdict = dataset.run(replace(resolved(kit), **running("list", said)))
    assert (verdict.phase == "Succeeded") is summed_up
    assert verdict.status.artifact == (ARTIFACT if summed_up else None)
    assert verdict.status.summary == said.dataset
    assert verdict.status.listing == (LISTING.uri if lists else None)


def test_an_attempt_is_known_by_its_pods_with_its_stage(kit: Any) -> None:
    world = resolved(kit)
    for said in (DONE, None):
        pods = [replace(pod, resource=world.uid) for pod in running("list", said)["pods"]]
        (known,) = dataset.run(replace(world, pods=(*pods,))).status.attempts
        assert (known.name, known.stage) == ("data-dset-r1-list-a1", "list")


def test_the_pod_of_a_listing_that_failed_stays_with_its_log(kit: Any) -> None:
    wrong = Outcome(outcome=OutcomeKind.FAILED, failure=FailureClass.USER, reason="Wrong")
    world = replace(resolved(kit), **running("list", wrong))
    known = dataset.run(world)
    verdict = dataset.run(replace(world, status=known.status))
    assert (verdict.phase, verdict.actions) == ("Recovering", ())


@pytest.mark.parametrize(
    ("before", "stage", "at_once", "pods"),
    [
        ((), "clean", None, (4, 4)),
        ((), "clean", 3, (4, 3)),
        (("clean",), "dedup", 3, (1, 1)),
        (("clean", "dedup"), "tokenise", 3, (4, 3)),
        (("clean", "dedup", "tokenise"), "publish", 3, (1, 1)),
    ],
)
def test_parts_are_worked_on_side_by_side_max_pods_at_a_time(
    kit: Any, before: tuple[str, ...], stage: str, at_once: int | None, pods: tuple[int, int]
) -> None:
    fields = {"maxPods": at_once} if at_once else {}
    ended = [attempt(1, name, "Succeeded") for name in before]
    value = created(dataset.run(listed(kit, *ended, **fields)))
    assert value["metadata"]["name"] == f"data-dset-r1-{stage}-a1"
    assert (value["spec"]["completions"], value["spec"]["parallelism"]) == pods


@pytest.mark.parametrize(("parts", "pods"), [(1, 1), (8, 1), (9, 2), (1000, 64)])
def test_copies_are_looked_for_in_a_range_for_each_eight_parts_up_to_a_bound(
    kit: Any, parts: int, pods: int
) -> None:
    world = listed(
        kit, attempt(1, "clean", "Succeeded"), parts=parts, curation={"dedup": {}}, maxPods=99
    )
    value = created(dataset.run(world))
    assert value["metadata"]["name"] == "data-dset-r1-dedup-a1"
    assert (value["spec"]["completions"], value["spec"]["parallelism"]) == (pods, pods)


@pytest.mark.parametrize(("at_once", "most"), [(3, ("0.021", "0.022")), (9, ("0.028", "0.029"))])
def test_a_budget_must_cover_the_pods_that_work_at_once(
    kit: Any, at_once: int, most: tuple[str, str]
) -> None:
    held, starts = (
        dataset.run(listed(kit, maxPods=at_once, budget={"maxCost": cost})) for cost in most
    )
    assert (held.phase, held.reason) == ("Suspended", "BudgetExceeded")
    assert created(starts)["metadata"]["name"] == "data-dset-r1-clean-a1"


@pytest.mark.parametrize(
    ("said", "fraction"), [((None,), 0.2), ((DONE,), 0.4), ((DONE, None, None, None), 0.25)]
)
def test_the_progress_of_a_dataset_is_stages_and_pods_that_are_done(
    kit: Any, said: Any, fraction: float
) -> None:
    world = listed(kit, parts=len(said))
    shown = dataset.run(replace(world, **running("clean", *said))).status.progress
    assert (shown.fraction, shown.stage) == (pytest.approx(fraction), "clean")


def test_the_parts_of_a_stage_go_with_the_one_that_the_data_made_fail(kit: Any) -> None:
    wrong = Outcome(outcome=OutcomeKind.FAILED, failure=FailureClass.DATA, reason="Bad")
    world = replace(listed(kit), **running("clean", wrong, None))
    first = dataset.run(world)
    verdict = dataset.run(replace(world, status=first.status))
    assert verdict.actions == (Delete(world.jobs[0].key, "j"),)


def test_only_a_listing_ends_with_a_listing(kit: Any) -> None:
    said = Outcome(outcome=OutcomeKind.SUCCEEDED, listing=LISTING)
    world = replace(listed(kit), **running("clean", said, None))
    verdict = dataset.run(world)
    assert (verdict.phase, verdict.reason) == ("Running", "Cleaning")
    assert verdict.status.attempts[-1].outcome is None


@pytest.mark.parametrize("stage", ["list", "clean", "dedup", "tokenise", "publish"])
def test_listing_and_publishing_must_say_what_came_of_them(kit: Any, stage: str) -> None:
    earlier = list(dataset.STAGES)[1 : list(dataset.STAGES).index(stage)]
    world = (
        resolved(kit)
        if stage == "list"
        else listed(kit, *[attempt(1, name, "Succeeded") for name in earlier])
    )
    seen = running(stage, DONE)
    (job,) = seen["jobs"]
    verdict = dataset.run(replace(world, jobs=(replace(job, complete=True),), pods=seen["pods"]))
    last = verdict.status.attempts[-1]
    spoken = stage in ("list", "publish")
    assert (last.stage, last.reason) == (stage, "NoResult" if spoken else "Completed")


def test_a_dataset_whose_artifact_left_status_is_lost(kit: Any) -> None:
    stages = list(dataset.STAGES)[1:]
    verdict = dataset.run(listed(kit, *[attempt(1, name, "Succeeded") for name in stages]))
    assert (verdict.phase, verdict.reason) == ("Stalled", "ArtifactLost")


def test_the_stages_before_one_that_misses_their_output_run_once_more(kit: Any) -> None:
    world = listed(kit)
    missing = attempt(1, "dedup", "Lost", reason="StageMissing", failure="Infrastructure")
    so_far = [attempt(1, "list", "Succeeded"), attempt(1, "clean", "Succeeded"), missing]
    for name, number in (("list", 2), ("clean", 2), ("dedup", 2), ("tokenise", 1)):
        status = world.status.model_copy(update={"attempts": so_far})
        verdict = dataset.run(replace(world, status=status))
        assert created(verdict)["metadata"]["name"] == f"data-dset-r1-{name}-a{number}"
        so_far = [*so_far, attempt(number, name, "Succeeded")]


def test_stages_have_one_order() -> None:
    assert tuple(dataset.STAGES) == names.STAGES


def test_documents_and_bytes_of_a_stage_are_those_of_pods_that_ended_and_that_run(kit: Any) -> None:
    world = listed(kit)
    status = world.status.model_copy(update={"input_bytes": 9000})
    ended = Outcome(outcome=OutcomeKind.SUCCEEDED, worked=Worked(documents=100, bytes=1000))
    said = {
        metrics.CURATED_DOCUMENTS: 40.0,
        metrics.CURATED_BYTES: 300.0,
        metrics.PROGRESS: 0.25,
    }
    world = replace(world, status=status, metrics=said, **running("clean", ended, None, None))
    shown = dataset.run(world).status.progress
    assert (shown.stage, shown.documents, shown.bytes) == ("clean", 140, 1300)
    assert (shown.bytes_total, shown.documents_total) == (9000, None)
    # One part of four is done, and a quarter of two; cleaning is the second stage of five.
    assert shown.fraction == pytest.approx((1 + (1 + 0.5) / 4) / 5)


def test_what_was_heard_of_a_stage_before_is_not_taken_for_the_next_one(kit: Any) -> None:
    said = {metrics.CURATED_DOCUMENTS: 40.0, metrics.PROGRESS: 1.0}
    done = [attempt(1, "clean", "Succeeded"), attempt(1, "dedup", "Succeeded")]
    world = replace(listed(kit, *done), metrics=said)
    shown = dataset.run(world).status.progress
    assert (shown.stage, shown.documents, shown.bytes) == ("tokenise", None, None)
    assert shown.fraction == 0.6


def test_the_documents_of_a_whole_stage_are_remembered_within_it(kit: Any) -> None:
    done = [attempt(1, "clean", "Succeeded"), attempt(1, "dedup", "Succeeded")]
    ended = Outcome(outcome=OutcomeKind.SUCCEEDED, worked=Worked(documents=100, bytes=1000))
    world = replace(listed(kit, *done), **running("tokenise", ended, None))
    said = {metrics.CURATED_DOCUMENTS: 1.0, metrics.STAGE_DOCUMENTS: 500.0}
    first = dataset.run(replace(world, metrics=said)).status
    assert (first.progress.documents, first.progress.documents_total) == (101, 500)
    then = dataset.run(replace(world, status=first, metrics={})).status
    assert (then.progress.documents, then.progress.documents_total) == (100, 500)
    assert then.progress.bytes_total is None
