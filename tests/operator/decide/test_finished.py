from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api.artifact import digest_of
from cupola_api.common import Lineage
from cupola_operator.children import Job, Pod
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import decide, finished
from cupola_operator.decide.verdict import SOON, Delete


def world(kit: Any, value: Any, *others: Any) -> Any:
    cluster = kit.Cluster()
    for other in others:
        cluster.create(other)
    return kit.world(cluster, key_of(cluster.create(value)))


def trained(kit: Any, *, phase: str = "Succeeded", read: str = "Dataset/data") -> Any:
    value = kit.done("PretrainJob")
    value["status"] |= {
        "phase": phase,
        "lineage": [{"kind": "Dataset", "name": "data", "digest": digest_of(read)}],
    }
    return value


@pytest.mark.parametrize("phase", ["Pending", "Waiting", "Running", "Recovering", "Stalled"])
def test_a_run_that_goes_on_is_not_spoken_of(kit: Any, phase: str) -> None:
    assert finished.run(world(kit, trained(kit, phase=phase), kit.done("Dataset"))) is None


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_run_that_ended_stays_as_it_is(kit: Any, phase: str) -> None:
    seen = world(kit, trained(kit, phase=phase), kit.done("Dataset"))
    verdict = finished.run(seen)
    assert verdict
    assert (verdict.phase, verdict.outdated, verdict.actions) == (phase, "", ())
    assert (verdict.reason, verdict.message) == (phase, "")
    again = decide(replace(seen, status=decide(seen).status))
    assert again == decide(seen)


def test_a_new_revision_is_a_new_run(kit: Any) -> None:
    value = trained(kit)
    value["spec"]["revision"] = 2
    status = decide(world(kit, value, kit.done("Dataset"))).status
    assert status
    assert (status.phase, status.artifact, status.run and status.run.revision) == (
        "Pending",
        None,
        2,
    )


def test_a_condition_that_stays_as_it_was_keeps_its_time_in_a_new_revision(kit: Any) -> None:
    seen = world(kit, trained(kit), kit.done("Dataset"))
    before = decide(seen).status
    assert before
    value = trained(kit)
    value["spec"]["revision"] = 2
    later = world(kit, value, kit.done("Dataset"))
    later = replace(
        later,
        now=later.now + kit.seconds(60),
        status=later.status.model_copy(update={"conditions": before.conditions}),
    )
    status = decide(later).status
    assert status
    times = {c.type: c.last_transition_time for c in status.conditions}
    assert times["Failed"] == "2026-01-01T00:00:00Z"
    assert times["Succeeded"] == "2026-01-01T00:01:00Z"


@pytest.mark.parametrize(
    ("read", "now", "outdated"),
    [
        ("Dataset/data", "done", False),
        ("other bytes", "done", True),
        ("other bytes", "missing", False),
        ("other bytes", "running again", False),
    ],
)
def test_outdated_is_a_run_whose_origin_has_another_artifact(
    kit: Any, read: str, now: str, outdated: bool
) -> None:
    data = [kit.done("Dataset")] if now == "done" else []
    data = [kit.resource("Dataset")] if now == "running again" else data
    verdict = finished.run(world(kit, trained(kit, read=read), *data))
    assert verdict
    assert bool(verdict.outdated) is outdated
    if outdated:
        assert verdict.outdated == (
            "Dataset data changed since revision 1 read it; raise spec.revision to run again"
        )


def test_all_that_changed_upstream_is_said(kit: Any) -> None:
    value = trained(kit)
    value["spec"]["datasets"] = [{"name": "data"}, {"name": "more"}]
    value["status"]["lineage"] = [
        {"kind": "Dataset", "name": name, "digest": digest_of("other bytes")}
        for name in ("data", "more")
    ]
    seen = world(kit, value, kit.done("Dataset"), kit.done("Dataset", "more"))
    verdict = finished.run(seen)
    assert verdict
    assert verdict.outdated
    assert verdict.outdated.startswith("Dataset data and Dataset more changed")


def test_what_was_not_read_does_not_make_outdated(kit: Any) -> None:
    value = trained(kit)
    value["status"]["lineage"] = []
    verdict = finished.run(world(kit, value, kit.done("Dataset")))
    assert verdict
    assert verdict.outdated == ""


@pytest.mark.parametrize(
    ("phase", "kind", "state", "deleted"),
    [
        ("Failed", "PyTorchJob", "live", True),
        ("Failed", "PyTorchJob", "ended", False),
        ("Failed", "PyTorchJob", "ending", True),
        ("Failed", "PyTorchJob", "given up", False),
        ("Failed", "PyTorchJob", "deleting", False),
        ("Succeeded", "PyTorchJob", "live", True),
        ("Succeeded", "Job", "live", True),
    ],
)
def test_what_is_left_running_is_deleted(
    kit: Any, phase: str, kind: str, state: str, deleted: bool
) -> None:
    seen = world(kit, trained(kit, phase=phase), kit.done("Dataset"))
    job = Job(Key(kind, "default", "j"), "j", 1, "pretrain", 1, deleting=state == "deleting")
    ends = {"ending": kit.START, "given up": kit.START - kit.seconds(61)}
    pod = Pod(name="p", uid="p", owner="j", terminal=state == "ended", gone_by=ends.get(state))
    verdict = finished.run(replace(seen, jobs=(job,), pods=(pod,)))
    assert verdict
    assert verdict.actions == ((Delete(job.key, "j"),) if deleted else ())
    assert (verdict.again is not None) is deleted


def measured(kit: Any, **spec: Any) -> Any:
    value = kit.done("Evaluation", **spec)
    score = {"task": "answers", "metric": "perplexity", "value": 6, "comparedTo": 5}
    value["status"]["scores"] = [score | {"higherIsBetter": False}]
    return value


@pytest.mark.parametrize(("drop", "phase"), [(0.5, "Failed"), (1.5, "Succeeded")])
@pytest.mark.parametrize("before", ["Failed", "Succeeded"])
def test_thresholds_are_judged_anew_from_the_scores(
    kit: Any, drop: float, phase: str, before: str
) -> None:
    thresholds = [{"task": "answers", "metric": "perplexity", "maxDrop": drop}]
    value = measured(kit, thresholds=thresholds)
    value["status"]["phase"] = before
    verdict = finished.evaluation(world(kit, value))
    assert verdict
    assert verdict.phase == phase
    assert verdict.reason == ("Completed" if phase == "Succeeded" else "ThresholdMissed")
    assert verdict.actions == ()


def test_all_thresholds_that_are_missed_are_said(kit: Any) -> None:
    bounds = [{"maxDrop": 0.5}, {"max": 5.5}, {"max": 9}]
    thresholds = [{"task": "answers", "metric": "perplexity", **bound} for bound in bounds]
    verdict = finished.evaluation(world(kit, measured(kit, thresholds=thresholds)))
    assert verdict
    assert verdict.status
    assert len(verdict.status.failed_thresholds) == 2
    assert verdict.message == "; ".join(verdict.status.failed_thresholds)


def test_what_is_left_running_of_an_evaluation_is_deleted(kit: Any) -> None:
    job = Job(Key("Job", "default", "j"), "j", 1, "evaluate", 1)
    left = Pod(name="p", uid="p", owner="j")
    seen = world(kit, measured(kit))
    verdict = finished.evaluation(replace(seen, jobs=(job,), pods=(left,)))
    assert verdict
    assert verdict.actions == (Delete(job.key, "j"),)
    assert verdict.again == SOON


def test_an_evaluation_that_could_not_measure_stays_failed(kit: Any) -> None:
    value = measured(kit, thresholds=[])
    del value["status"]["artifact"]
    value["status"]["phase"] = "Failed"
    verdict = finished.evaluation(world(kit, value))
    assert verdict
    assert verdict.phase == "Failed"
    assert finished.evaluation(world(kit, kit.resource("Evaluation"))) is None


def test_an_artifact_that_left_status_is_lost(kit: Any) -> None:
    seen = world(kit, kit.resource("PretrainJob"))
    verdict = finished.succeeded(seen, seen.status)
    assert (verdict.phase, verdict.reason) == ("Stalled", "ArtifactLost")
    assert verdict.message.endswith("raise spec.revision")
    exam = world(kit, kit.resource("Evaluation"))
    assert finished.measured(exam, exam.status).reason == "ArtifactLost"


def test_what_was_read_is_taken_from_the_status_that_is_written(kit: Any) -> None:
    seen = world(kit, trained(kit), kit.done("Dataset"))
    lineage = [Lineage(kind="Dataset", name="data", digest=digest_of("other bytes"))]
    assert finished.succeeded(seen, seen.status).outdated == ""
    status = seen.status.model_copy(update={"lineage": lineage})
    assert finished.succeeded(seen, status).outdated


def test_nothing_is_outdated_of_a_spec_that_is_not_valid(kit: Any) -> None:
    seen = world(kit, kit.resource("PretrainJob", oops=1))
    lineage = [Lineage(kind="Dataset", name="data", digest=digest_of("x"))]
    seen = replace(seen, status=seen.status.model_copy(update={"lineage": lineage}))
    assert finished.changed_upstream(seen) == ""


@pytest.mark.parametrize(
    ("keep", "after", "again"),
    [
        (None, 10**6, None),
        ("1h", 0, 3600),
        ("1h", 3599.5, 0.5),
        ("1h", 3600, SOON),
        ("1h", 10**6, SOON),
    ],
)
@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_children_of_a_run_that_ended_go_after_a_while(
    kit: Any, phase: str, keep: str | None, after: float, again: float | None
) -> None:
    value = trained(kit, phase=phase)
    time = "2026-01-01T00:00:00Z"
    condition = {"type": phase, "status": "True", "reason": "Done", "lastTransitionTime": time}
    value["status"]["conditions"] = [condition]
    key = Key("PyTorchJob", "default", "base-ptj-r1-a1")
    job = Job(key, "j", 1, "pretrain", 1, complete=True)
    settings = kit.SETTINGS.model_copy(update={"keep_finished": keep})
    seen = replace(
        world(kit, value, kit.done("Dataset")),
        settings=settings,
        jobs=(job,),
        now=kit.START + kit.seconds(after),
    )
    verdict = finished.run(seen)
    assert verdict
    assert verdict.actions == ((Delete(key, "j"),) if again == SOON else ())
    assert verdict.again == again
    gone = finished.run(replace(seen, jobs=()))
    leaving = finished.run(replace(seen, jobs=(replace(job, deleting=True),)))
    for later in (gone, leaving):
        assert later
        assert (later.actions, later.again, later.phase) == ((), None, phase)
