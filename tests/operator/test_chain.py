"""The four kinds from YAML to Succeeded, with pods that are played by hand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cupola_api import metrics
from cupola_api.artifact import digest_of
from cupola_api.common import Artifact
from cupola_api.dataset import DatasetSummary
from cupola_api.evaluation import Score
from cupola_api.outcome import FailureClass, Listing, Outcome, OutcomeKind
from cupola_api.training import ModelSummary
from cupola_operator.cluster import Key, key_of
from cupola_operator.reconcile import Reconciler

DATA = Key("Dataset", "default", "data")
BASE = Key("PretrainJob", "default", "base")
TUNED = Key("FineTune", "default", "tuned")
EXAM = Key("Evaluation", "default", "exam")
ALL = [DATA, BASE, TUNED, EXAM]

FAILED = Outcome(
    outcome=OutcomeKind.FAILED,
    reason="Unexpected",
    failure=FailureClass.UNKNOWN,
    message="RuntimeError: something broke",
)


class Bench:
    """A cluster with a reconciler; `settle` runs both until nothing moves."""

    def __init__(self, kit: Any) -> None:
        self.kit = kit
        self.cluster = kit.Cluster()
        self.controllers = kit.Controllers(self.cluster)
        self.metrics: dict[str, float] = {}
        self.reconciler = Reconciler(
            self.cluster,
            kit.SETTINGS,
            clock=lambda: self.controllers.now,
            progress_every=0,
            scrape=lambda _: self.metrics,
        )

    def settle(self) -> None:
        for _ in range(20):
            before = self.kit.copy(self.cluster.objects)
            for key in sorted(k for k in self.cluster.objects if k in ALL):
                self.reconciler.reconcile(key)
            self.controllers.sync()
            if self.cluster.objects == before:
                return
        pytest.fail("never settles")

    def wait(self, seconds: float) -> None:
        self.controllers.now += timedelta(seconds=seconds)

    def status(self, key: Key) -> Any:
        return self.cluster.objects[key].get("status", {})

    def reason(self, key: Key) -> str:
        ready = [c for c in self.status(key)["conditions"] if c["type"] == "Ready"]
        return ready[0]["reason"]

    def condition(self, key: Key, kind: str) -> Any:
        return next(c for c in self.status(key)["conditions"] if c["type"] == kind)

    def live(self) -> list[Any]:
        return [
            pod
            for pod in self.controllers.pods()
            if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        ]

    def run_pods(self, outcome: Outcome | None = None, seconds: float = 60, code: int = 0) -> None:
        """Start every pod that waits, let time pass, end them all in the same way."""
        self.start_pods()
        self.wait(seconds)
        self.end_pods(outcome, code)

    def start_pods(self) -> None:
        assert self.live(), "nothing waits to run"
        for pod in self.live():
            self.controllers.start(pod)
        self.settle()

    def end_pods(self, outcome: Outcome | None = None, code: int = 0) -> None:
        for pod in self.live():
            self.controllers.end(pod, outcome, code)
        self.settle()


@pytest.fixture
def bench(kit: Any) -> Bench:
    return Bench(kit)


def artifact(name: str) -> Artifact:
    return Artifact(uri=f"file:///data/{name}", digest=digest_of(name), bytes=7)


def listed(parts: int = 3) -> Outcome:
    return Outcome(
        outcome=OutcomeKind.SUCCEEDED,
        listing=Listing(
            uri="file:///data/list", digest=digest_of("files"), parts=parts, files=9, bytes=99
        ),
    )


def published(kit: Any, name: str = "dataset") -> Outcome:
    return Outcome(
        outcome=OutcomeKind.SUCCEEDED,
        artifact=artifact(name),
        dataset=DatasetSummary.model_validate(kit.summary()),
    )


def trained(name: str) -> Outcome:
    return Outcome(
        outcome=OutcomeKind.SUCCEEDED,
        step=245,
        artifact=artifact(name),
        model=ModelSummary(
            parameters=2_000_000, tokens=9, steps=245, tokenizer_digest=digest_of("tokenizer")
        ),
    )


def scored(value: float = 4.0, base: float = 5.0) -> Outcome:
    return Outcome(
        outcome=OutcomeKind.SUCCEEDED,
        artifact=artifact("scores"),
        scores=[
            Score(
                task="answers",
                metric="perplexity",
                value=value,
                compared_to=base,
                higher_is_better=False,
            )
        ],
    )


def curate(bench: Bench, name: str = "dataset") -> None:
    bench.run_pods(listed())
    for _ in ("clean", "dedup", "tokenise"):
        bench.run_pods()
    bench.run_pods(published(bench.kit, name))


def apply_all(bench: Bench) -> None:
    task = {"task": {"input": "q", "output": "a"}}
    for kind in ("Evaluation", "FineTune", "PretrainJob", "Dataset"):
        bench.cluster.apply(bench.kit.resource(kind, **(task if kind == "Dataset" else {})))
    bench.settle()


def test_four_files_applied_in_any_order_end_in_scores(bench: Bench) -> None:
    apply_all(bench)
    assert bench.reason(BASE) == "WaitingForDataset"
    assert bench.reason(TUNED) == "WaitingForPretrainJob"
    assert bench.reason(EXAM) == "WaitingForFineTune"
    curate(bench)
    assert bench.status(DATA)["phase"] == "Succeeded"
    assert bench.status(DATA)["summary"]["tokens"] == 900
    bench.run_pods(trained("model"), seconds=3600)
    assert bench.status(BASE)["artifact"]["digest"] == digest_of("model")
    bench.run_pods(trained("tuned"))
    bench.run_pods(scored())
    for key in ALL:
        assert bench.status(key)["phase"] == "Succeeded", key
        assert bench.condition(key, "Ready")["status"] == "True"
        assert bench.condition(key, "Succeeded")["status"] == "True"
        assert bench.condition(key, "Stalled")["status"] == "False"
        assert bench.condition(key, "Outdated")["status"] == "False"
        assert bench.status(key)["progress"]["fraction"] == 1
        assert Decimal(bench.status(key)["cost"]["wasted"]) == 0
    assert bench.status(EXAM)["scores"][0]["value"] == 4.0
    origins = {(o["kind"], o["name"]): o["digest"] for o in bench.status(EXAM)["lineage"]}
    assert origins["FineTune", "tuned"] == digest_of("tuned")
    assert origins["PretrainJob", "base"] == digest_of("model")
    assert origins["Dataset", "data"] == digest_of("dataset")


def test_nothing_is_done_twice_when_all_is_finished(bench: Bench) -> None:
    apply_all(bench)
    curate(bench)
    bench.run_pods(trained("model"))
    bench.run_pods(trained("tuned"))
    bench.run_pods(scored())
    before = dict(bench.cluster.objects)
    bench.wait(86_400)
    bench.settle()
    assert bench.cluster.objects == before


def test_two_nodes_for_an_hour_cost_what_the_pool_asks(bench: Bench, kit: Any) -> None:
    bench.cluster.create(kit.done("Dataset"))
    bench.cluster.apply(kit.resource("PretrainJob"))
    bench.settle()
    bench.run_pods(trained("model"), seconds=3600)
    cost = bench.status(BASE)["cost"]
    assert cost["accrued"] == cost["projected"] == "1.44"  # 4 slots, 0.36 an hour
    assert cost["gpuHours"] == "4"
    # 4 slots of 10 W, and half of 20 W for each; the data centre's share is that of the plan
    assert cost["energyKwh"] == "0.104"
    assert cost["currency"] == "USD"


def test_clean_and_tokenise_have_a_pod_a_part(bench: Bench, kit: Any) -> None:
    bench.cluster.apply(kit.resource("Dataset", maxPods=2))
    bench.settle()
    bench.run_pods(listed(parts=5))
    job = bench.cluster.objects[Key("Job", "default", "data-dset-r1-clean-a1")]
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (5, 2)
    assert bench.status(DATA)["parts"] == 5
    bench.run_pods()
    assert bench.status(DATA)["progress"] == {"fraction": 0.4, "stage": "dedup"}


def test_data_that_is_published_already_is_found_by_the_first_stage(bench: Bench, kit: Any) -> None:
    bench.cluster.apply(kit.resource("Dataset"))
    bench.settle()
    bench.run_pods(listed())
    first = bench.live()[0]
    bench.controllers.start(first)
    bench.controllers.end(first, published(kit))
    bench.settle()
    assert bench.status(DATA)["phase"] == "Succeeded"
    assert bench.live() == []


def test_a_failed_attempt_is_repeated_after_a_pause_when_its_pods_are_gone(
    bench: Bench, kit: Any
) -> None:
    bench.cluster.create(kit.done("Dataset"))
    bench.cluster.apply(kit.resource("PretrainJob"))
    bench.settle()
    bench.run_pods(FAILED, code=1)
    assert bench.status(BASE)["phase"] == "Recovering"
    assert bench.controllers.pods() == []
    bench.wait(9)
    bench.settle()
    assert bench.live() == []
    bench.wait(1)
    bench.settle()
    assert {p["metadata"]["name"] for p in bench.live()} == {
        "base-ptj-r1-a2-master-0",
        "base-ptj-r1-a2-worker-0",
    }
    bench.run_pods(trained("model"))
    assert bench.status(BASE)["phase"] == "Succeeded"
    first, second = bench.status(BASE)["attempts"]
    assert (first["outcome"], first["reason"]) == ("Failed", "Unexpected")
    assert first["cost"] == first["wasted"] == "0.024"
    assert (second["outcome"], second["wasted"]) == ("Succeeded", "0")


def test_three_attempts_without_progress_are_enough(bench: Bench, kit: Any) -> None:
    bench.cluster.create(kit.done("Dataset"))
    bench.cluster.apply(kit.resource("PretrainJob"))
    bench.settle()
    for _ in range(3):
        bench.run_pods(FAILED, code=1)
        bench.wait(300)
        bench.settle()
    assert bench.status(BASE)["phase"] == "Failed"
    assert bench.reason(BASE) == "AttemptsExhausted"
    assert "something broke" in bench.condition(BASE, "Failed")["message"]
    assert bench.live() == []


@pytest.mark.parametrize("key", [BASE, TUNED])
def test_checkpoints_buy_further_attempts_and_keep_what_they_cost(
    bench: Bench, kit: Any, key: Key
) -> None:
    bench.cluster.create(kit.done("Dataset", task={"input": "q", "output": "a"}))
    if key == TUNED:
        bench.cluster.create(kit.done("PretrainJob"))
    bench.cluster.apply(kit.resource(key.kind, parallelism={"nodes": 2}))
    bench.settle()
    for number in range(1, 6):
        bench.start_pods()
        bench.wait(100)
        bench.metrics = {
            metrics.PROGRESS: number / 10,
            metrics.CHECKPOINT_STEP: number * 10,
            metrics.CHECKPOINT_TIME: bench.controllers.now.timestamp(),
        }
        bench.settle()
        bench.wait(20)
        bench.end_pods(FAILED, 1)
        bench.wait(300)
        bench.settle()
    attempts = bench.status(key)["attempts"]
    assert bench.status(key)["phase"] in ("Recovering", "Pending")
    assert [a["checkpointStep"] for a in attempts[:5]] == [10, 20, 30, 40, 50]
    assert {a["gpuSeconds"] for a in attempts[:5]} == {"480"}
    assert {a["wasted"] for a in attempts[:5]} == {"0.008"}  # 20 s of 4 slots at 0.36 an hour


def test_a_users_mistake_fails_the_run_at_once_with_the_pods_sentence(
    bench: Bench, kit: Any
) -> None:
    bench.cluster.apply(kit.resource("Dataset"))
    bench.settle()
    wrong = Outcome(
        outcome=OutcomeKind.FAILED,
        reason="SourceMissing",
        failure=FailureClass.USER,
        message="spec.sources[0].uri: there is no file; write another",
    )
    bench.run_pods(wrong, code=1)
    assert bench.status(DATA)["phase"] == "Failed"
    assert bench.reason(DATA) == "SourceMissing"
    assert bench.condition(DATA, "Failed")["message"] == wrong.message
    assert bench.condition(DATA, "Stalled")["status"] == "True"


def test_a_pod_that_vanishes_ends_the_gang_and_the_next_starts_at_once(
    bench: Bench, kit: Any
) -> None:
    bench.cluster.create(kit.done("Dataset"))
    bench.cluster.apply(kit.resource("PretrainJob"))
    bench.settle()
    bench.start_pods()
    bench.wait(30)
    bench.cluster.remove(key_of(bench.live()[1]))
    bench.settle()
    attempts = bench.status(BASE)["attempts"]
    assert (attempts[0]["outcome"], attempts[0]["reason"]) == ("Lost", "PodsLost")
    assert attempts[0]["estimated"] is True
    assert attempts[1]["name"] == "base-ptj-r1-a2"
    assert len(bench.live()) == 2


def test_a_training_that_was_asked_to_stop_goes_on_at_once(bench: Bench, kit: Any) -> None:
    bench.cluster.create(kit.done("Dataset"))
    bench.cluster.apply(kit.resource("PretrainJob"))
    bench.settle()
    bench.run_pods(Outcome(outcome=OutcomeKind.STOPPED, reason="Stopped", step=7), code=143)
    first = bench.status(BASE)["attempts"][0]
    assert (first["outcome"], first["reason"], first["wasted"]) == ("Stopped", "Stopped", "0")
    assert bench.status(BASE)["attempts"][1]["name"] == "base-ptj-r1-a2"


def test_new_data_makes_the_model_outdated_and_a_new_revision_trains_again(
    bench: Bench, kit: Any
) -> None:
    bench.cluster.apply(kit.resource("Dataset"))
    bench.cluster.apply(kit.resource("PretrainJob"))
    bench.settle()
    curate(bench)
    bench.run_pods(trained("model"))
    bench.cluster.apply(kit.resource("Dataset", revision=2, validation=0.1))
    bench.settle()
    assert bench.condition(BASE, "Outdated")["status"] == "False"
    curate(bench, "other data")
    outdated = bench.condition(BASE, "Outdated")
    assert (outdated["status"], outdated["reason"]) == ("True", "UpstreamChanged")
    assert "Dataset data" in outdated["message"]
    assert "spec.revision" in outdated["message"]
    assert bench.status(BASE)["phase"] == "Succeeded"
    bench.cluster.apply(kit.resource("PretrainJob", revision=2))
    bench.settle()
    bench.run_pods(trained("second model"))
    assert bench.status(BASE)["artifact"]["digest"] == digest_of("second model")
    assert bench.status(BASE)["run"]["revision"] == 2
    assert bench.condition(BASE, "Outdated")["status"] == "False"


def test_a_missed_threshold_fails_and_a_lower_one_passes_without_measuring_again(
    bench: Bench, kit: Any
) -> None:
    for one in ("Dataset", "PretrainJob", "FineTune"):
        bench.cluster.create(kit.done(one))
    bench.cluster.apply(kit.resource("Evaluation"))
    bench.settle()
    bench.run_pods(scored(value=6.0, base=5.0))
    assert (bench.status(EXAM)["phase"], bench.reason(EXAM)) == ("Failed", "ThresholdMissed")
    assert "worse by 1" in bench.status(EXAM)["failedThresholds"][0]
    lower = [{"task": "answers", "metric": "perplexity", "maxDrop": 1.5}]
    bench.cluster.apply(kit.resource("Evaluation", thresholds=lower))
    bench.settle()
    assert bench.status(EXAM)["phase"] == "Succeeded"
    assert (
        "failedThresholds" not in bench.status(EXAM) or not bench.status(EXAM)["failedThresholds"]
    )
    assert bench.live() == []
    assert len(bench.status(EXAM)["attempts"]) == 1


def test_settings_that_change_in_mid_run_change_nothing(bench: Bench, kit: Any) -> None:
    bench.cluster.create(kit.done("Dataset"))
    bench.cluster.apply(kit.resource("PretrainJob"))
    bench.settle()
    dearer = kit.SETTINGS.pools[0].model_copy(update={"price_per_gpu_hour": "999"})
    bench.reconciler._settings = kit.SETTINGS.model_copy(
        update={"pools": [dearer], "trainer_image": "other", "currency": "EUR"}
    )
    bench.run_pods(FAILED, code=1, seconds=3600)
    bench.wait(60)
    bench.settle()
    job = bench.cluster.objects[Key("PyTorchJob", "default", "base-ptj-r1-a2")]
    template = job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    assert template["spec"]["containers"][0]["image"] == "cupola-trainer"
    assert bench.status(BASE)["cost"]["accrued"] == "1.44"
    assert bench.status(BASE)["cost"]["currency"] == "USD"


def test_a_new_revision_ends_the_run_of_the_old_one_first(bench: Bench, kit: Any) -> None:
    bench.cluster.create(kit.done("Dataset"))
    bench.cluster.apply(kit.resource("PretrainJob"))
    bench.settle()
    bench.start_pods()
    bench.cluster.apply(kit.resource("PretrainJob", revision=2, tokens="4M"))
    bench.reconciler.reconcile(BASE)
    assert bench.reason(BASE) == "EarlierRevisionEnds"
    bench.reconciler.reconcile(BASE)
    assert Key("PyTorchJob", "default", "base-ptj-r2-a1") not in bench.cluster.objects
    bench.settle()
    assert {p["metadata"]["name"] for p in bench.live()} == {
        "base-ptj-r2-a1-master-0",
        "base-ptj-r2-a1-worker-0",
    }
    assert len(bench.status(BASE)["attempts"]) == 1
