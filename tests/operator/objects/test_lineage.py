"""What status says that a run reads and has made."""

from __future__ import annotations

from typing import Any

from cupola_api.artifact import digest_of
from cupola_api.common import Artifact, Progress, Status
from cupola_api.outcome import Outcome, OutcomeKind
from cupola_api.pretrainjob import PretrainJobStatus
from cupola_api.training import ModelSummary
from cupola_operator.build import run as build
from cupola_operator.cluster import Object, key_of
from cupola_operator.decide import training
from cupola_operator.decide.resolve import lineage
from cupola_operator.world import World

LISTED = {"listing": "file:///data/l.json", "inputsDigest": digest_of("files"), "parts": 3}
ARTIFACT = Artifact(uri="file:///a", digest=digest_of("a"), bytes=1)


def seen(kit: Any, value: Object, *others: Object) -> World:
    cluster = kit.Cluster()
    key = key_of(cluster.create(value))
    for other in others:
        cluster.create(other)
    world = kit.world(cluster, key)
    assert isinstance(world, World)
    return world


def entries(run: Any) -> list[tuple[str, str, str]]:
    return [(entry.kind, entry.name, entry.digest) for entry in lineage(run)]


def test_a_dataset_is_made_from_its_sources_and_a_tokenizer(kit: Any) -> None:
    def made(**spec: Any) -> list[tuple[str, str, str]]:
        value = kit.resource("Dataset", **spec)
        value["status"] = {"run": {"revision": 1}, **LISTED}
        return entries(build.curate_run(seen(kit, value, kit.done("Dataset", "other"))))

    sources = ("Source", "sources", digest_of("files"))
    assert made() == [sources]
    assert made(tokenizer={"dataset": "other"}) == [
        sources,
        ("Dataset", "other", digest_of("Dataset/other")),
    ]


def test_an_evaluation_names_each_thing_once(kit: Any) -> None:
    tasks = [
        {"name": "a", "perplexity": {"dataset": "data"}},
        {"name": "b", "perplexity": {"dataset": "data"}},
    ]
    made = [kit.done("PretrainJob"), kit.done("FineTune"), kit.done("Dataset")]
    value = kit.resource("Evaluation", tasks=tasks, thresholds=[])
    assert entries(build.evaluate_run(seen(kit, value, *made), kit.SETTINGS.pools[0])) == [
        ("FineTune", "tuned", digest_of("FineTune/tuned")),
        ("PretrainJob", "base", digest_of("PretrainJob/base")),
        ("Dataset", "data", digest_of("Dataset/data")),
    ]


def finished(status: Status, **fields: Any) -> Any:
    outcome = Outcome(outcome=OutcomeKind.SUCCEEDED, artifact=ARTIFACT, **fields)
    return training._finished(status, outcome)


def test_a_finished_training_says_its_model_and_that_all_steps_are_done() -> None:
    model = ModelSummary(parameters=7, tokens=640, steps=10, train_loss=1.23456)
    before = PretrainJobStatus(progress=Progress(step=9, steps=12, loss=1.5))
    status = finished(before, model=model)
    assert (status.artifact, status.model) == (ARTIFACT, model)
    assert status.progress == Progress(step=10, steps=10, tokens=640, loss=1.2346)
    unheard = finished(PretrainJobStatus(), model=ModelSummary(parameters=7, tokens=640, steps=10))
    assert unheard.progress == Progress(step=10, steps=10, tokens=640)


def test_a_training_that_says_no_figures_keeps_its_progress() -> None:
    before = PretrainJobStatus(progress=Progress(step=9))
    status = finished(before)
    assert (status.artifact, status.model, status.progress) == (ARTIFACT, None, Progress(step=9))
