from __future__ import annotations

import pytest

from cupola_api.common import Artifact
from cupola_api.evaluation import EvaluationTask, PerplexityTask, Score
from cupola_api.outcome import MAX_BYTES, read
from cupola_api.run import EvaluateRun, Input, ResolvedTask
from cupola_trainer.evaluate.outcome import outcome_of
from cupola_trainer.evaluate.results import Measured, Result, scores
from cupola_trainer.pod import PodFailure

DIGEST = f"sha256:{'1' * 64}"
MODEL = Input(kind="PretrainJob", name="a-model", uri="file:///x", digest=DIGEST)
ARTIFACT = Artifact(uri=f"file:///{'x' * 200}", digest=DIGEST, bytes=10**9)


def run_of(count: int) -> EvaluateRun:
    task = EvaluationTask(name="t", perplexity=PerplexityTask(dataset="d"))
    return EvaluateRun(
        namespace="default",
        name="exam",
        output="file:///x",
        model=MODEL,
        compare_to=MODEL,
        tasks=[ResolvedTask(task=task)] * count,
        seed=0,
        threads=1,
        device="Cpu",
    )


def some(count: int, name: str = "a-task") -> list[Score]:
    return [
        Score(
            task=f"{name}-{i}",
            metric="acc_norm",
            value=0.123456,
            standard_error=0.0123456,
            chance=0.25,
            compared_to=-0.234567,
            compared_standard_error=0.0234567,
            samples=1234,
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("count", [1, 3, 16, 19, 31, 32])
def test_up_to_32_tasks_fit_a_termination_message(count: int) -> None:
    made = outcome_of(run_of(count), ARTIFACT, some(count))
    text = made.model_copy(update={"first_work_at": 1_800_000_000.123}).write()
    assert len(text.encode()) <= MAX_BYTES
    outcome = read(text)
    assert outcome is not None
    assert outcome.message == f"measured a-model beside a-model on {count} tasks"
    assert len(outcome.scores) == count
    for given, said in zip(some(count), outcome.scores, strict=True):
        assert (said.task, said.metric) == (given.task, given.metric)
        assert said.value == pytest.approx(given.value, rel=1e-3)
        assert said.compared_to == pytest.approx(given.compared_to, rel=1e-3)


def test_what_fits_is_said_whole() -> None:
    assert outcome_of(run_of(3), ARTIFACT, some(3)).scores == some(3)


def test_errors_are_left_out_before_chance() -> None:
    (first, *_) = outcome_of(run_of(24), ARTIFACT, some(24)).scores
    assert first.standard_error is None
    assert first.chance == 0.25


@pytest.mark.parametrize("found", [some(65, "t"), some(32, "a-very-long-name-of-a-task" * 2)])
def test_more_than_fits_is_refused_with_a_remedy(found: list[Score]) -> None:
    with pytest.raises(PodFailure, match="over two Evaluations") as failure:
        outcome_of(run_of(32), ARTIFACT, found)
    assert failure.value.reason == "TooManyScores"


def test_scores_put_the_models_beside_each_other_in_six_digits() -> None:
    model = Result([Measured("acc", 1 / 3, 10, 0.1, 0.25), Measured("only", 2.0, 10)], [])
    other = Result([Measured("acc", 2 / 3, 10, 0.2, 0.25)], [])
    first, second = scores("quiz", model, other)
    assert (first.value, first.compared_to) == (0.333333, 0.666667)
    assert (first.standard_error, first.compared_standard_error) == (0.1, 0.2)
    assert second.compared_to is None
    assert scores("quiz", model, None)[0].compared_to is None
