"""The last policy of each chain: attempts, to the end of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api.artifact import digest_of
from cupola_api.common import Artifact, Attempt
from cupola_api.outcome import Listing, Outcome, OutcomeKind
from cupola_operator import names
from cupola_operator.children import Job, Pod, Resolved
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import dataset, decide, evaluation, training
from cupola_operator.decide.verdict import Create

ARTIFACT = Artifact(uri="file:///data/a", digest=digest_of("a"), bytes=1)
LISTING = Listing(uri="file:///data/l", digest=digest_of("l"), parts=4, files=9, bytes=1)
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
        ("Evaluation", evaluation.run, "exam-ev-r1-a1", "Evaluating"),
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
    with pytest.raises(TypeError, match="holds no"):
        policy(replace(resolved(kit, kind), runs={}))


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
    lost = policy(finished_attempt(world))
    assert (lost.phase, lost.reason) == ("Stalled", "ArtifactLost")


def list_pod(outcome: Outcome) -> Pod:
    return Pod(
        name="p", uid="p", owner="j", revision=1, stage="list", attempt=1, terminal=True,
        exit_code=0, outcome=outcome,
    )  # fmt: skip


def test_a_listing_is_followed_by_the_second_config_map(kit: Any) -> None:
    job = Job(Key("Job", "default", "data-dset-r1-list-a1"), "j", 1, "list", 1)
    said = Outcome(outcome=OutcomeKind.SUCCEEDED, listing=LISTING)
    world = replace(resolved(kit, "Dataset"), jobs=(job,), pods=(list_pod(said),))
    verdict = dataset.run(world)
    assert (verdict.phase, verdict.reason) == ("Pending", "Resolving")
    value = created(verdict)
    assert value["metadata"]["name"] == "data-dset-r1"
    run = Resolved.of(value)
    assert run
    assert run.run.parts == 4
    assert verdict.status.listing == LISTING.uri
    assert verdict.status.attempts[0].outcome == "Succeeded"


def test_a_dataset_whose_artifact_left_status_is_lost(kit: Any) -> None:
    world = resolved(kit, "Dataset")
    listed = {"listing": LISTING.uri, "inputs_digest": LISTING.digest, "parts": 4}
    attempts = [
        Attempt(number=1, name=name, stage=name, outcome="Succeeded") for name in dataset.STAGES
    ]
    status = world.status.model_copy(update={**listed, "attempts": attempts})
    world = replace(world, status=status)
    run = Resolved.of(created(dataset.run(world)))
    world = replace(world, runs={**world.runs, "data-dset-r1": run})
    verdict = dataset.run(world)
    assert (verdict.phase, verdict.reason) == ("Stalled", "ArtifactLost")


def test_the_stages_before_one_that_misses_their_output_run_once_more(kit: Any) -> None:
    world = resolved(kit, "Dataset")
    listed = {"listing": LISTING.uri, "inputs_digest": LISTING.digest, "parts": 4}
    status = world.status.model_copy(
        update={**listed, "attempts": [attempt(1, "list", "Succeeded")]}
    )
    run = Resolved.of(created(dataset.run(replace(world, status=status))))
    world = replace(world, runs={**world.runs, "data-dset-r1": run})
    missing = attempt(1, "dedup", "Lost", reason="StageMissing", failure="Infrastructure")
    so_far = [attempt(1, "list", "Succeeded"), attempt(1, "clean", "Succeeded"), missing]
    for name, number in (("list", 2), ("clean", 2), ("dedup", 2), ("tokenise", 1)):
        status = world.status.model_copy(update={**listed, "attempts": so_far})
        verdict = dataset.run(replace(world, status=status))
        assert created(verdict)["metadata"]["name"] == f"data-dset-r1-{name}-a{number}"
        so_far = [*so_far, attempt(number, name, "Succeeded")]


def attempt(number: int, stage: str, outcome: str, **more: Any) -> Attempt:
    return Attempt(number=number, name=f"{stage}{number}", stage=stage, outcome=outcome, **more)


def test_stages_have_one_order() -> None:
    assert tuple(dataset.STAGES) == names.STAGES
