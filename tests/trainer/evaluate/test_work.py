from __future__ import annotations

import argparse
import errno
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cupola_api.artifact import hash_file, read_manifest, seal
from cupola_api.evaluation import EvaluationTask, HarnessTask, PerplexityTask, PythonFunctionTask
from cupola_api.outcome import FailureClass, OutcomeKind, read
from cupola_api.run import (
    ATTEMPT,
    TERMINATION_LOG,
    EvaluateRun,
    Input,
    ListRun,
    ResolvedTask,
    dump,
)
from cupola_trainer import generate, likelihood, storage
from cupola_trainer.evaluate import main
from cupola_trainer.evaluate.results import Subject
from cupola_trainer.evaluate.work import evaluate
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import place_of, s3

RUN = f"sha256:{'1' * 64}"


def perplexity(dataset: Input, limit: int = 2000) -> ResolvedTask:
    what = PerplexityTask(dataset=dataset.name, limit=limit)
    return ResolvedTask(task=EvaluationTask(name=dataset.name, perplexity=what), dataset=dataset)


def functions(dataset: Input) -> ResolvedTask:
    what = PythonFunctionTask(dataset=dataset.name, limit=5, max_new_tokens=8)
    task = EvaluationTask(name="functions", python_function=what)
    return ResolvedTask(task=task, dataset=dataset)


def benchmark(folder: Path, task: str = "quiz") -> ResolvedTask:
    what = HarnessTask(task=task, data="store:///quiz")
    return ResolvedTask(task=EvaluationTask(name="a-quiz", harness=what), folder=folder.as_uri())


@pytest.fixture
def run(inputs: Any, quiz: Path, tmp_path: Path) -> EvaluateRun:
    return EvaluateRun(
        namespace="default",
        name="exam",
        output=(tmp_path / "out").as_uri(),
        model=inputs.model,
        compare_to=inputs.other,
        tasks=[
            perplexity(inputs.pairs),
            perplexity(inputs.text),
            functions(inputs.pairs),
            benchmark(quiz),
        ],
        seed=0,
        threads=1,
        device="Cpu",
    )


def changed(run: EvaluateRun, **changes: Any) -> EvaluateRun:
    return run.model_copy(update=changes)


def remade(source: Input, folder: Path, facts: dict[str, Any]) -> Input:
    sealed = seal(folder, kind="x", run=RUN, facts=facts)
    return source.model_copy(update={"uri": sealed.uri, "digest": sealed.digest})


def facts_of(source: Input) -> dict[str, Any]:
    return read_manifest(place_of(source.uri))[0].facts


def test_two_models_are_measured_beside_each_other(
    run: EvaluateRun, inputs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ATTEMPT, "a1")
    outcome = evaluate(run)
    assert outcome.outcome is OutcomeKind.SUCCEEDED
    names = [(score.task, score.metric) for score in outcome.scores]
    assert names == [
        ("pairs", "perplexity"),
        ("text", "perplexity"),
        ("functions", "share"),
        ("a-quiz", "acc"),
        ("a-quiz", "acc_norm"),
    ]
    for score in outcome.scores:
        assert score.compared_to is not None
    assert not outcome.scores[0].higher_is_better
    place = place_of(run.folder) / "a1" / "artifact"
    manifest, artifact = read_manifest(place)
    assert artifact == outcome.artifact
    assert [(i.kind, i.name) for i in manifest.inputs] == [
        ("PretrainJob", "model"),
        ("PretrainJob", "other"),
        ("Dataset", "pairs"),
        ("Dataset", "text"),
        ("Source", "quiz"),
    ]
    saved = json.loads((place / "scores.json").read_text())["scores"]
    assert saved == [score.to_json() for score in outcome.scores]
    samples = [json.loads(line) for line in (place / "samples.jsonl").read_text().splitlines()]
    assert len([s for s in samples if s["task"] == "functions" and s["model"] == "model"]) == 5
    assert {s["verdict"] for s in samples if s["task"] == "functions"} <= {
        "NotEnded",
        "NotPython",
        "NotOneFunction",
    }


def test_perplexity_of_answers_and_of_text(run: EvaluateRun, inputs: Any) -> None:
    tasks = [perplexity(inputs.pairs, 4), perplexity(inputs.text, 3)]
    answers, text = evaluate(changed(run, tasks=tasks, compare_to=None)).scores
    model, tokenizer = generate.load(place_of(inputs.model.uri))
    subject = Subject(model, tokenizer)
    lines = (place_of(inputs.pairs.uri) / "pairs" / "validation.jsonl").read_text().splitlines()
    pairs = [json.loads(line) for line in lines][:4]
    held_out = [likelihood.answer(subject.tokenizer, p["input"], p["output"]) for p in pairs]
    assert answers.value == pytest.approx(by_hand(subject, held_out), rel=1e-5)
    assert answers.samples == 4
    assert answers.chance == pytest.approx(math.exp(likelihood.unigram_entropy(held_out)), rel=1e-5)
    # The text is the answers of the same pairs, without their prompts.
    documents = [
        likelihood.document(s.ids[s.start :], tokenizer.eos_token_id) for s in held_out[:3]
    ]
    assert text.value == pytest.approx(by_hand(subject, documents), rel=1e-5)
    assert text.samples == 3


def by_hand(subject: Subject, sequences: list[likelihood.Scored]) -> float:
    total, count = 0.0, 0
    for ids, start in sequences:
        with torch.no_grad():
            logits = subject.model(input_ids=torch.tensor([list(ids)])).logits[0].double()
        rows = logits.log_softmax(-1)
        total -= sum(float(rows[i - 1, ids[i]]) for i in range(start, len(ids)))
        count += len(ids) - start
    return math.exp(total / count)


def test_the_same_run_gives_the_same_bytes_and_is_not_done_twice(
    run: EvaluateRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ATTEMPT, "a1")
    first = main(run, argparse.Namespace())
    again = evaluate(changed(run, output=(tmp_path / "elsewhere").as_uri()))
    assert first.artifact is not None
    assert again.artifact is not None
    assert first.artifact.digest == again.artifact.digest
    monkeypatch.setenv(ATTEMPT, "a2")
    assert main(run, argparse.Namespace()) == first
    assert not (place_of(run.folder) / "a2").exists()


def test_in_a_bucket_the_scores_are_those_of_a_disk(
    run: EvaluateRun, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ATTEMPT, "a1")
    expected = evaluate(run)
    assert expected.artifact is not None

    def moved(source: Input) -> Input:
        uri = storage.publish(place_of(source.uri), place_of(f"{bucket}/{source.name}")).uri
        return source.model_copy(update={"uri": uri})

    quiz = place_of(run.tasks[3].folder or "")
    s3.upload((path, place_of(f"{bucket}/quiz") / path.name) for path in quiz.iterdir())
    there = changed(
        run,
        output=f"{bucket}/out",
        model=moved(run.model),
        compare_to=moved(run.compare_to) if run.compare_to else None,
        tasks=[
            task.model_copy(update={"dataset": moved(task.dataset)})
            if task.dataset
            else task.model_copy(update={"folder": f"{bucket}/quiz"})
            for task in run.tasks
        ],
    )
    outcome = main(there, argparse.Namespace())
    assert outcome.artifact == expected.artifact.model_copy(
        update={"uri": f"{there.folder}/a1/artifact"}
    )
    assert outcome.scores == expected.scores
    monkeypatch.setenv(ATTEMPT, "a2")
    assert main(there, argparse.Namespace()) == outcome
    assert not list(s3.below(place_of(f"{there.folder}/a2")))


def test_another_tokenizer_is_refused_for_perplexity_only(
    run: EvaluateRun, inputs: Any, tmp_path: Path
) -> None:
    shutil.copytree(place_of(inputs.pairs.uri), tmp_path / "copy")
    other = remade(inputs.pairs, tmp_path / "copy", {"tokenizerDigest": RUN})
    with pytest.raises(PodFailure, match="another tokenizer than a measured model") as failure:
        evaluate(changed(run, tasks=[perplexity(other)]))
    assert failure.value.reason == "TokenizerMismatch"
    outcome = evaluate(changed(run, tasks=[functions(other)], compare_to=None))
    assert outcome.outcome is OutcomeKind.SUCCEEDED


def test_prompts_are_needed_to_generate(run: EvaluateRun, inputs: Any) -> None:
    with pytest.raises(PodFailure, match=r"Dataset text .* write spec\.task") as failure:
        evaluate(changed(run, tasks=[functions(inputs.text)]))
    assert failure.value.reason == "DatasetHasNoTask"


@pytest.mark.parametrize("what", ["pairs", "text"])
def test_nothing_held_out_is_refused(
    run: EvaluateRun, inputs: Any, tmp_path: Path, what: str
) -> None:
    source: Input = getattr(inputs, what)
    folder = tmp_path / "copy"
    shutil.copytree(place_of(source.uri), folder)
    for path in [*folder.glob("validation/*"), *folder.glob("pairs/*")]:
        path.write_bytes(b"")
    empty = remade(source, folder, facts_of(source))
    with pytest.raises(PodFailure, match=r"larger spec\.validation") as failure:
        evaluate(changed(run, tasks=[perplexity(empty)]))
    assert failure.value.reason == "NothingHeldOut"


def test_a_model_that_is_none_is_refused(run: EvaluateRun, inputs: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    model = remade(inputs.model, tmp_path / "empty", facts_of(inputs.model))
    with pytest.raises(PodFailure, match="model of PretrainJob model cannot be loaded") as failure:
        evaluate(changed(run, model=model))
    assert failure.value.reason == "ModelUnreadable"
    assert failure.value.failure is FailureClass.DATA


def test_broken_weights_have_no_score(run: EvaluateRun, inputs: Any, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(place_of(inputs.model.uri), folder)
    model, _ = generate.load(folder)
    with torch.no_grad():
        next(iter(model.parameters())).fill_(math.nan)
    model.save_pretrained(folder)
    broken = remade(inputs.model, folder, facts_of(inputs.model))
    with pytest.raises(PodFailure, match="weights are not finite") as failure:
        evaluate(changed(run, model=broken))
    assert failure.value.reason == "ScoreNotFinite"


def test_too_many_tasks_are_refused_before_anything_is_measured(
    run: EvaluateRun, inputs: Any, quiz: Path
) -> None:
    long = [
        ResolvedTask(
            task=EvaluationTask(
                name=f"{'n' * 60}-{i}", harness=HarnessTask(task="quiz", data="store:///quiz")
            ),
            folder=quiz.as_uri(),
        )
        for i in range(24)
    ]
    with pytest.raises(PodFailure, match="over two Evaluations"):
        evaluate(changed(run, tasks=long))
    assert not place_of(run.folder).exists()


def test_a_damaged_input_is_refused(run: EvaluateRun, inputs: Any) -> None:
    wrong = inputs.model.model_copy(update={"digest": RUN})
    with pytest.raises(PodFailure, match="PretrainJob model is not as it was made"):
        evaluate(changed(run, model=wrong))


def test_another_kind_of_run_is_refused() -> None:
    other = ListRun(namespace="default", name="x", output="file:///x", sources=[])
    with pytest.raises(PodFailure, match="needs an EvaluateRun, not a ListRun"):
        main(other, argparse.Namespace())


def test_nothing_temporary_stays(run: EvaluateRun) -> None:
    outcome = evaluate(run)
    assert outcome.artifact is not None
    place = place_of(outcome.artifact.uri)
    names = {path.name: hash_file(path) for path in place.iterdir()}
    assert set(names) == {"manifest.json", "samples.jsonl", "scores.json"}


def test_damaged_scores_are_said_and_made_again(
    run: EvaluateRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ATTEMPT, "a1")
    first = main(run, argparse.Namespace())
    assert first.artifact is not None
    scores = place_of(first.artifact.uri) / "scores.json"
    scores.write_bytes(scores.read_bytes().replace(b"0.", b"0,", 1))
    monkeypatch.setenv(ATTEMPT, "a2")
    again = main(run, argparse.Namespace())
    assert "warning: the artifact of this run is damaged: " in capsys.readouterr().out
    assert again.artifact is not None
    assert again.artifact.uri != first.artifact.uri
    assert again.scores == first.scores


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "OutOfMemory"),
        (OSError(errno.ENOSPC, "x", "/tmp/cache"), "StorageFailed"),
        (KeyError("question"), "HarnessTaskInvalid"),
    ],
)
def test_a_benchmark_is_not_blamed_for_memory_or_storage(
    run: EvaluateRun, quiz: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("cupola_trainer.evaluate.harness.evaluate", fail)
    with pytest.raises(PodFailure) as failure:
        evaluate(changed(run, tasks=[benchmark(quiz)]))
    assert failure.value.reason == reason


def test_a_model_that_does_not_fit_is_said_with_a_remedy(
    run: EvaluateRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(generate, "load", fail)
    with pytest.raises(PodFailure, match=r"model does not fit .* spec\.pools") as failure:
        evaluate(run)
    assert failure.value.failure is FailureClass.OUT_OF_MEMORY


MEASURE = """
import time
from cupola_trainer import termination
termination.listen()
import sys
from cupola_trainer import command
from cupola_trainer.evaluate import functions
def measure(*_, **__):
    print("measuring", flush=True)
    time.sleep(1000)
functions.measure = measure
sys.exit(command.main(["evaluate", sys.argv[1]]))
"""


@pytest.mark.local
def test_an_evaluation_that_is_stopped_ends_at_once_and_says_so(
    run: EvaluateRun, inputs: Any, tmp_path: Path
) -> None:
    file, log = tmp_path / "run.yaml", tmp_path / "log"
    file.write_text(dump(changed(run, tasks=[functions(inputs.pairs)])))
    pod = subprocess.Popen(
        [sys.executable, "-c", MEASURE, str(file)],
        env=os.environ | {TERMINATION_LOG: str(log)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with pod:
        assert pod.stdout is not None
        assert "measuring\n" in pod.stdout
        pod.terminate()
    assert pod.returncode == 143
    said = read(log.read_text())
    assert said is not None
    assert (said.outcome, said.reason) == ("Stopped", "Terminated")
    assert said.first_work_at  # it measured, models and data were there
    assert not list(place_of(run.folder).rglob("manifest.json"))
