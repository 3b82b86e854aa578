"""A Dataset with a synthetic source: a model writes it before the sources are listed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api.artifact import digest_of
from cupola_api.common import Attempt
from cupola_api.outcome import FailureClass, Listing, Outcome, OutcomeKind
from cupola_api.run import GenerateRun, ListRun
from cupola_api.synthetic import SyntheticSummary
from cupola_operator.children import Resolved
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import dataset, decide
from cupola_operator.decide.verdict import Create
from cupola_operator.settings import Settings

from .test_dataset import created, running

ENDPOINT = {"url": "https://models.example.com/v1", "model": "writer"}
PAGES = {"name": "pages", "uri": "store:///pages", "format": "Jsonl"}
SUMMARY = SyntheticSummary(
    source="written", model="writer", prompts=digest_of("p"), uri="file:///data/w",
    digest=digest_of("w"), documents=9, requests=9, made=8, empty=1, failed=0, truncated=0,
    input_tokens=90, output_tokens=80,
)  # fmt: skip
WROTE = Outcome(outcome=OutcomeKind.SUCCEEDED, synthetic=SUMMARY)


def sources(**fields: Any) -> list[dict[str, Any]]:
    asked = {
        "model": {"endpoint": ENDPOINT},
        "prompts": [{"name": "plain", "text": "Plainly: {text}"}],
        "seeds": {"source": "pages"},
        "documents": 9000,
        **fields,
    }
    return [PAGES | {"weight": 1}, {"name": "written", "weight": 2, "synthetic": asked}]


def world(kit: Any, *others: Any, settings: Any = None, spec: Any = None, **fields: Any) -> Any:
    cluster = kit.Cluster()
    value = kit.resource("Dataset", sources=sources(**fields), **(spec or {}))
    key = key_of(cluster.create(value))
    for other in others:
        cluster.create(other)
    return cluster, key, kit.world(cluster, key, settings=settings or kit.SETTINGS)


def resolved(kit: Any, *others: Any, **fields: Any) -> Any:
    """A world in which it is resolved what a model is to write."""
    cluster, key, seen = world(kit, *others, **fields)
    (create,) = decide(seen).actions
    assert isinstance(create, Create)
    cluster.create(create.value)
    return kit.world(cluster, key, settings=fields.get("settings") or kit.SETTINGS)


def test_what_a_model_is_to_write_is_resolved_first(kit: Any) -> None:
    _, _, seen = world(kit)
    verdict = decide(seen)
    value = created(verdict)
    assert value["metadata"]["name"] == "data-dset-r1-generate"
    run = Resolved.of(value)
    assert run
    assert isinstance(run.run, GenerateRun)
    assert (run.run.source, run.run.shares, run.run.writer) == ("written", 5, "writer")
    assert run.placement.pool.name == "cpu"


def test_it_is_written_in_a_job_before_the_sources_are_listed(kit: Any) -> None:
    seen = resolved(kit, concurrency=100, spec={"maxPods": 16})
    job = created(dataset.run(seen))
    assert job["metadata"]["name"] == "data-dset-r1-generate-a1"
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (5, 3)
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][-2:] == ["--stage", "generate"]
    assert "nvidia.com/gpu" not in str(container["resources"])


def test_what_was_written_is_listed_as_a_source_of_files(kit: Any) -> None:
    seen = resolved(kit)
    verdict = dataset.run(replace(seen, **running("generate", Outcome(outcome="Succeeded"), WROTE)))
    assert verdict.status.synthetic == SUMMARY
    assert verdict.status.attempts[0].outcome == "Succeeded"
    value = created(verdict)
    assert value["metadata"]["name"] == "data-dset-r1-list"
    run = Resolved.of(value)
    assert run
    assert isinstance(run.run, ListRun)
    pages, written = run.run.sources
    assert (pages.uri, pages.made_by) == ("file:///data/pages", None)
    assert (written.uri, written.format) == ("file:///data/w/documents", "Jsonl")
    assert written.made_by
    assert (written.made_by.model, written.made_by.digest) == ("writer", SUMMARY.digest)


def test_a_pod_that_wrote_its_share_is_not_the_end(kit: Any) -> None:
    share = Outcome(outcome=OutcomeKind.SUCCEEDED)
    verdict = dataset.run(replace(resolved(kit), **running("generate", share, None)))
    assert verdict.status.attempts[0].outcome is None
    assert verdict.status.progress.stage == "generate"
    assert not verdict.actions


def test_an_endpoint_that_refuses_fails_the_dataset(kit: Any) -> None:
    refused = Outcome(
        outcome=OutcomeKind.FAILED, failure=FailureClass.USER, reason="EndpointRefused"
    )
    seen = replace(resolved(kit), **running("generate", refused, None))
    (ended,) = dataset.run(seen).status.attempts
    assert (ended.outcome, ended.reason) == ("Failed", "EndpointRefused")


def test_a_model_of_cupola_writes_on_a_device_with_its_own_image(kit: Any) -> None:
    model = kit.done("FineTune", "tuned", dataset="pairs")
    seen = resolved(
        kit, model, model={"fineTune": "tuned"}, pools=["h100"], documents=10, concurrency=64
    )
    run = seen.runs["data-dset-r1-generate"]
    assert run.run.model.name == "tuned"
    assert (run.run.device, run.run.threads, run.run.concurrency) == ("Gpu", 12, 64)
    assert run.placement.image == kit.SETTINGS.trainer_image
    container = created(dataset.run(seen))["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    verdict = dataset.run(replace(seen, **running("generate", WROTE)))
    written = Resolved.of(created(verdict)).run.sources[1]
    assert [(one.kind, one.name) for one in written.made_by.inputs] == [("FineTune", "tuned")]


def test_the_pool_of_a_model_is_one_that_there_is(kit: Any) -> None:
    _, _, seen = world(
        kit, kit.done("FineTune", "t", dataset="pairs"), model={"fineTune": "t"}, pools=["b200"]
    )
    verdict = decide(seen)
    assert verdict.status.condition("Stalled").reason == "PoolNotFound"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model": {"pretrainJob": "base"}}, "WaitingForPretrainJob"),
        ({"seeds": {"dataset": "other"}}, "WaitingForDataset"),
    ],
)
def test_what_it_needs_is_waited_for(kit: Any, fields: Any, reason: str) -> None:
    verdict = decide(world(kit, **fields)[2])
    assert (verdict.status.phase, verdict.actions) == ("Waiting", ())
    assert verdict.status.condition("Ready").reason == reason


def test_what_was_taken_is_not_waited_for_again(kit: Any) -> None:
    seen = resolved(kit, kit.done("Dataset", "other"), seeds={"dataset": "other"})
    gone = {key: one._replace(resource=None) for key, one in seen.references.items()}
    verdict = decide(replace(seen, references=gone))
    assert created(verdict)["metadata"]["name"] == "data-dset-r1-generate-a1"


def test_a_dataset_that_is_written_from_itself_can_never_start(kit: Any) -> None:
    verdict = decide(world(kit, seeds={"dataset": "data"})[2])
    assert verdict.status.condition("Stalled").reason == "RefersToItself"


def test_the_key_of_an_endpoint_comes_from_a_secret_that_is_allowed(kit: Any) -> None:
    model = {"endpoint": {**ENDPOINT, "key": {"name": "writer-key", "key": "token"}}}
    cluster = {**kit.SETTINGS.to_json(), "store": "s3://bucket/store"}
    _, _, seen = world(kit, model=model, settings=Settings.model_validate(cluster))
    verdict = decide(seen)
    assert verdict.status.condition("Stalled").reason == "NotAllowed"
    assert "Secret writer-key" in verdict.status.condition("Stalled").message
    allowed = Settings.model_validate({**cluster, "allowed": {"secrets": ["writer-key"]}})
    seen = resolved(kit, model=model, settings=allowed)
    assert "writer-key" not in str(seen.runs["data-dset-r1-generate"].run.to_json())
    job = created(dataset.run(seen))
    environment = job["spec"]["template"]["spec"]["containers"][0]["env"]
    assert environment[-1] == {
        "name": "CUPOLA_ENDPOINT_KEY",
        "valueFrom": {"secretKeyRef": {"name": "writer-key", "key": "token"}},
    }


def test_no_other_pod_gets_the_key(kit: Any) -> None:
    model = {"endpoint": {**ENDPOINT, "key": {"name": "writer-key"}}}
    seen = resolved(kit, model=model)
    status = seen.status.model_copy(
        update={
            "synthetic": SUMMARY,
            "attempts": [
                Attempt(number=1, name="g", stage="generate", outcome="Succeeded"),
            ],
        }
    )
    listing = Resolved.of(created(dataset.run(replace(seen, status=status))))
    runs = {**seen.runs, "data-dset-r1-list": listing}
    job = created(dataset.run(replace(seen, status=status, runs=runs)))
    assert job["metadata"]["name"] == "data-dset-r1-list-a1"
    assert "writer-key" not in str(job)


def test_curation_is_planned_when_all_is_listed(kit: Any) -> None:
    seen = resolved(kit)
    listed = Listing(uri="file:///data/l", digest=digest_of("l"), parts=4, files=9, bytes=10**9)
    status = seen.status.model_copy(
        update={
            "synthetic": SUMMARY,
            "attempts": [Attempt(number=1, name="g", stage="generate", outcome="Succeeded")],
        }
    )
    seen = replace(seen, status=status)
    runs = {**seen.runs, "data-dset-r1-list": Resolved.of(created(dataset.run(seen)))}
    said = Outcome(outcome=OutcomeKind.SUCCEEDED, listing=listed)
    verdict = dataset.run(replace(seen, runs=runs, **running("list", said)))
    run = Resolved.of(created(verdict))
    assert run
    assert run.run.kind == "CurateRun"
    assert run.run.sources[1].made_by
    assert verdict.status.progress is None or verdict.status.progress.fraction <= 1
    assert verdict.status.plan.cost


def test_a_dataset_without_one_has_no_such_stage(kit: Any) -> None:
    cluster = kit.Cluster()
    key = key_of(cluster.create(kit.resource("Dataset")))
    assert key == Key("Dataset", "default", "data")
    assert created(decide(kit.world(cluster, key)))["metadata"]["name"] == "data-dset-r1-list"
