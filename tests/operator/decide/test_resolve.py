from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api import run as contract
from cupola_api.common import RunStatus
from cupola_operator.children import Job, Resolved, text_of
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import decide, resolve
from cupola_operator.decide.verdict import SOON, Create, Delete

TASK = {"input": "q", "output": "a"}


def world(kit: Any, value: Any, *others: Any) -> Any:
    cluster = kit.Cluster()
    for other in others:
        cluster.create(other)
    return kit.world(cluster, key_of(cluster.create(value)))


def ready(kit: Any, kind: str, **fields: Any) -> Any:
    kinds = [k for k in ("Dataset", "PretrainJob", "FineTune") if k != kind]
    done = [kit.done(k, **({"task": TASK} if k == "Dataset" else {})) for k in kinds]
    return world(kit, kit.resource(kind, **fields), *done)


POLICIES: dict[str, Any] = {
    "PretrainJob": (resolve.pretraining, contract.PretrainRun, "base-ptj-r1"),
    "FineTune": (resolve.tuning, contract.FineTuneRun, "tuned-ft-r1"),
    "Evaluation": (resolve.evaluation, contract.EvaluateRun, "exam-eval-r1"),
    "Dataset": (resolve.listing, contract.ListRun, "data-dset-r1-list"),
}


@pytest.mark.parametrize("kind", POLICIES)
def test_a_run_is_resolved_into_a_config_map_once(kit: Any, kind: str) -> None:
    policy, run, name = POLICIES[kind]
    seen = ready(kit, kind)
    verdict = policy(seen)
    assert (verdict.phase, verdict.reason, verdict.again) == ("Pending", "Resolving", SOON)
    (create,) = verdict.actions
    assert isinstance(create, Create)
    assert create.value["metadata"]["name"] == name
    resolved = Resolved.of(create.value)
    assert resolved
    assert isinstance(resolved.run, run)
    assert policy(replace(seen, runs={name: resolved})) is None


@pytest.mark.parametrize("kind", POLICIES)
def test_only_data_is_made_with_the_image_of_the_curator(kit: Any, kind: str) -> None:
    images = {"curator_image": "curator:1", "trainer_image": "trainer:1"}
    settings = kit.SETTINGS.model_copy(update=images)
    verdict = POLICIES[kind][0](replace(ready(kit, kind), settings=settings))
    resolved = Resolved.of(verdict.actions[0].value)
    assert resolved
    assert resolved.placement.image == ("curator:1" if kind == "Dataset" else "trainer:1")


@pytest.mark.parametrize("kind", POLICIES)
def test_start_digest_and_origin_of_a_run_are_recorded_once(kit: Any, kind: str) -> None:
    policy = POLICIES[kind][0]
    seen = ready(kit, kind)
    resolved = Resolved.of(policy(seen).actions[0].value)
    assert resolved
    known = resolve.recorded(seen, resolved)
    status = known.status
    lists = kind == "Dataset"
    assert status.run == RunStatus(
        revision=1,
        digest=None if lists else resolved.digest,
        started_at=text_of(kit.START),
    )
    assert bool(status.lineage) is not lists
    later = replace(known, now=kit.START + kit.seconds(60))
    assert resolve.recorded(later, resolved) == later


@pytest.mark.parametrize("kind", POLICIES)
def test_a_config_map_without_its_run_is_stalled(kit: Any, kind: str) -> None:
    policy, _, name = POLICIES[kind]
    seen = ready(kit, kind)
    verdict = policy(replace(seen, runs={name: None}))
    assert (verdict.phase, verdict.reason) == ("Stalled", "RunUnreadable")
    assert name in verdict.message
    assert verdict.message.endswith("raise spec.revision to resolve a new one")


def test_a_plan_that_cannot_be_made_is_stalled(kit: Any) -> None:
    verdict = resolve.tuning(ready(kit, "FineTune", examplesPerStep=3))
    assert verdict
    assert (verdict.phase, verdict.reason) == ("Stalled", "BatchNotDivisible")


def test_a_base_whose_origin_is_gone_has_no_context(kit: Any) -> None:
    orphan = kit.done("FineTune", "orphan", base={"pretrainJob": "gone"})
    seen = world(
        kit,
        kit.resource("FineTune", base={"fineTune": "orphan"}),
        orphan,
        kit.done("Dataset", task=TASK),
    )
    verdict = resolve.tuning(seen)
    assert verdict
    assert verdict.reason == "ContextUnknown"
    assert "PretrainJob/gone" in verdict.message


def test_a_ring_of_bases_has_no_context(kit: Any) -> None:
    seen = world(
        kit,
        kit.resource("FineTune", base={"fineTune": "one"}),
        kit.done("FineTune", "one", base={"fineTune": "two"}),
        kit.done("FineTune", "two", base={"fineTune": "one"}),
        kit.done("Dataset", task=TASK),
    )
    verdict = resolve.tuning(seen)
    assert verdict
    assert verdict.reason == "ContextUnknown"


def test_a_listing_that_status_lost_is_stalled(kit: Any) -> None:
    verdict = resolve.curation(world(kit, kit.resource("Dataset")))
    assert verdict
    assert (verdict.phase, verdict.reason) == ("Stalled", "NotListed")


@pytest.mark.parametrize(
    ("output", "folder"),
    [
        (None, "file:///data/default/dataset/data"),
        ("store:///a/b/", "file:///data/a/b/default/dataset/data"),
        ("file:///other/", "file:///other/default/dataset/data"),
    ],
)
def test_output_lies_below_the_store_or_where_it_is_said(
    kit: Any, output: str | None, folder: str
) -> None:
    seen = world(kit, kit.resource("Dataset", **({"output": output} if output else {})))
    action = decide(seen).actions[0]
    assert isinstance(action, Create)
    resolved = Resolved.of(action.value)
    assert resolved
    assert resolved.run.output == folder


def test_lineage_names_each_thing_once(kit: Any) -> None:
    verdict = resolve.evaluation(ready(kit, "Evaluation"))
    assert verdict
    resolved = Resolved.of(verdict.actions[0].value)
    assert resolved
    found = [(entry.kind, entry.name) for entry in resolve.lineage(resolved.run)]
    assert found == [("FineTune", "tuned"), ("PretrainJob", "base"), ("Dataset", "data")]


def test_an_explicit_shape_is_kept(kit: Any) -> None:
    model = {"shape": {"layers": 2, "hidden": 64, "heads": 4, "kvHeads": 2}, "context": 128}
    verdict = resolve.pretraining(ready(kit, "PretrainJob", model=model))
    assert verdict
    resolved = Resolved.of(verdict.actions[0].value)
    assert resolved
    assert isinstance(resolved.run, contract.PretrainRun)
    assert resolved.run.shape.model_dump() == {
        "layers": 2,
        "hidden": 64,
        "heads": 4,
        "kv_heads": 2,
        "ffn": 192,
        "vocabulary": 4096,
        "context": 128,
        "tie_embeddings": True,
    }


@pytest.mark.parametrize(("seed", "reason"), [(0, "Resolving"), (7, "RunChanged")])
def test_a_run_whose_config_map_was_deleted_is_resolved_again_only_if_it_is_the_same(
    kit: Any, seed: int, reason: str
) -> None:
    first = resolve.pretraining(ready(kit, "PretrainJob"))
    assert first
    run = Resolved.of(first.actions[0].value)
    assert run
    again = ready(kit, "PretrainJob", seed=seed)
    status = again.status.model_copy(update={"run": RunStatus(revision=1, digest=run.digest)})
    verdict = resolve.pretraining(replace(again, status=status))
    assert verdict
    assert verdict.reason == reason
    assert bool(verdict.actions) is (reason == "Resolving")
    if reason == "RunChanged":
        assert "ConfigMap base-ptj-r1 " in verdict.message
        assert verdict.message.endswith("raise spec.revision to start a new run")


def test_what_still_runs_of_a_run_that_is_another_now_is_deleted(kit: Any) -> None:
    seen = ready(kit, "PretrainJob")
    other = RunStatus(revision=1, digest=f"sha256:{0:064}")
    jobs = [Job(Key("PyTorchJob", "default", f"j{i}"), f"u{i}", 1, "pretrain", i) for i in range(4)]
    live, leaving, done, broken = jobs
    seen = replace(
        seen,
        status=seen.status.model_copy(update={"run": other}),
        jobs=(
            live,
            replace(leaving, deleting=True),
            replace(done, complete=True),
            replace(broken, failed=True),
        ),
    )
    verdict = resolve.pretraining(seen)
    assert verdict
    assert verdict.reason == "RunChanged"
    assert verdict.actions == (Delete(live.key, "u0"),)
