"""The last policy of each chain: attempts, to the end of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api import metrics
from cupola_api.artifact import digest_of
from cupola_api.common import Artifact, Attempt, Progress
from cupola_operator.children import Job, Pod, Resolved
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import dataset, decide, evaluation, training
from cupola_operator.decide.verdict import SOON, Create

ARTIFACT = Artifact(uri="file:///data/a", digest=digest_of("a"), bytes=1)
TASK = {"input": "q", "output": "a"}


def resolved(kit: Any, kind: str, **fields: Any) -> Any:
    """A world in which the run of a resource is resolved."""
    cluster = kit.Cluster()
    for other in ("Dataset", "PretrainJob", "FineTune"):
        if other != kind:
            cluster.create(kit.done(other, **({"task": TASK} if other == "Dataset" else {})))
    key = key_of(cluster.create(kit.resource(kind, **fields)))
    (create,) = decide(kit.world(cluster, key)).actions
    assert isinstance(create, Create)
    cluster.create(create.value)
    return kit.world(cluster, key)


def created(verdict: Any) -> Any:
    (action,) = verdict.actions
    return action.value


@pytest.mark.parametrize(
    ("kind", "policy", "name", "reason"),
    [
        ("PretrainJob", training.run, "base-ptj-r1-a1", "Training"),
        ("FineTune", training.run, "tuned-ft-r1-a1", "Tuning"),
        ("Evaluation", evaluation.run, "exam-eval-r1-a1", "Evaluating"),
        ("Dataset", dataset.run, "data-dset-r1-list-a1", "Listing"),
    ],
)
def test_a_resolved_run_starts_its_first_attempt(
    kit: Any, kind: str, policy: Any, name: str, reason: str
) -> None:
    verdict = policy(resolved(kit, kind))
    assert created(verdict)["metadata"]["name"] == name
    assert (verdict.phase, verdict.reason) == ("Pending", reason)


@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        ("PretrainJob", training.run),
        ("FineTune", training.run),
        ("Evaluation", evaluation.run),
        ("Dataset", dataset.run),
    ],
)
def test_a_run_that_was_not_resolved_is_no_run(kit: Any, kind: str, policy: Any) -> None:
    world = resolved(kit, kind)
    (name,) = world.runs
    with pytest.raises(TypeError, match=f"ConfigMap {name} holds no"):
        policy(replace(world, runs={}))


# A device may cost 0.007 while an attempt on it stops.
@pytest.mark.parametrize(
    ("kind", "policy", "most"),
    [
        ("PretrainJob", training.run, ("0.028", "0.029")),
        ("FineTune", training.run, ("0.014", "0.015")),
        ("Evaluation", evaluation.run, ("0.014", "0.015")),
        ("Dataset", dataset.run, ("0.007", "0.008")),
    ],
)
def test_a_budget_must_cover_the_devices_that_an_attempt_holds(
    kit: Any, kind: str, policy: Any, most: tuple[str, str]
) -> None:
    held, starts = (policy(resolved(kit, kind, budget={"maxCost": cost})) for cost in most)
    assert (held.phase, held.reason, held.actions) == ("Suspended", "BudgetExceeded", ())
    assert created(starts)["kind"] in ("PyTorchJob", "Job")


def test_status_speaks_of_the_generation_that_was_seen(kit: Any) -> None:
    world = replace(resolved(kit, "PretrainJob"), generation=7)
    decision = decide(world)
    assert decision.status
    assert decision.status.observed_generation == 7
    assert decision.again == SOON


def test_what_an_evaluation_will_have_cost_follows_from_what_its_pod_says(kit: Any) -> None:
    world = resolved(kit, "Evaluation")
    key = Key("Job", "default", "exam-eval-r1-a1")
    pod = Pod(
        name="p", uid="p", owner="j", revision=1, stage="evaluate", attempt=1, gpus=2,
        started=kit.START,
    )  # fmt: skip
    world = replace(
        world,
        now=kit.START + kit.seconds(3600),
        jobs=(Job(key, "j", 1, "evaluate", 1),),
        pods=(pod,),
        metrics={metrics.PROGRESS: 0.5},
    )
    first = evaluation.run(world)
    cost = evaluation.run(replace(world, status=first.status)).status.cost
    assert (cost.accrued, cost.projected) == ("0.72", "1.44")


def test_status_says_what_the_run_is_and_is_made_from(kit: Any) -> None:
    world = resolved(kit, "FineTune")
    status = training.run(world).status
    run = world.resolved()
    assert status
    assert isinstance(run, Resolved)
    assert status.run
    assert status.run.digest == run.digest
    assert [(e.kind, e.name) for e in status.lineage] == [
        ("PretrainJob", "base"),
        ("Dataset", "data"),
    ]


def finished_attempt(world: Any, **fields: Any) -> Any:
    """The world after somebody repaired a spec that hid the phase of a finished run."""
    attempt = Attempt(number=1, name="a", outcome="Succeeded")
    status = world.status.model_copy(update={"attempts": [attempt], **fields})
    return replace(world, status=status)


@pytest.mark.parametrize("kind", ["PretrainJob", "Evaluation"])
def test_a_finished_run_is_known_by_its_artifact(kit: Any, kind: str) -> None:
    policy = evaluation.run if kind == "Evaluation" else training.run
    fields = {"thresholds": []} if kind == "Evaluation" else {}
    world = resolved(kit, kind, **fields)
    verdict = policy(finished_attempt(world, artifact=ARTIFACT))
    assert (verdict.phase, verdict.actions) == ("Succeeded", ())
    half = Progress(fraction=0.5, eta="2026-01-01T01:00:00Z")
    lost = policy(finished_attempt(world, progress=half))
    assert (lost.phase, lost.reason) == ("Stalled", "ArtifactLost")
