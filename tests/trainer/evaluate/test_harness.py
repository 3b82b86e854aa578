from __future__ import annotations

import json
import math
import socket
from pathlib import Path

import pytest
import torch

from cupola_trainer.evaluate import harness
from cupola_trainer.evaluate.results import Subject
from cupola_trainer.likelihood import Scored, losses
from cupola_trainer.pod import PodFailure


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a benchmark reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_the_accuracy_is_that_of_the_likelier_choice(
    subject: Subject, quiz: Path, tmp_path: Path
) -> None:
    task = harness.load(quiz, "quiz", shots=0, seed=0, cache=tmp_path / "cache")
    result = harness.measure(subject, task, limit=None)
    questions = [json.loads(line) for line in (quiz / "quiz.jsonl").read_text().splitlines()]
    right = 0
    for question in questions:
        prompt = question["question"].replace("xx", "x")
        given = subject.tokenizer.encode(prompt, add_special_tokens=False)
        found = []
        for choice in question["choices"]:
            whole = subject.tokenizer.encode(f"{prompt} {choice}", add_special_tokens=False)
            found += losses(subject.model, [Scored(whole, len(given))])
        right += found[0] == min(found)
    accuracy, normed = result.measured
    assert (accuracy.metric, normed.metric) == ("acc", "acc_norm")
    assert accuracy.value == right / 10
    assert accuracy.standard_error == pytest.approx(
        math.sqrt(accuracy.value * (1 - accuracy.value) / 9)
    )
    assert accuracy.chance == pytest.approx((5 / 2 + 5 / 3) / 10)
    assert accuracy.samples == 10
    assert accuracy.higher_is_better
    assert result.samples[0]["prompt"] == "What is 0x?"
    assert result.samples[0]["answers"] == [" one", " two"]


def test_a_limit_takes_the_first_questions(subject: Subject, quiz: Path, tmp_path: Path) -> None:
    task = harness.load(quiz, "quiz", shots=0, seed=0, cache=tmp_path / "cache")
    result = harness.measure(subject, task, limit=3)
    assert result.measured[0].samples == 3
    assert result.measured[0].chance == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 3)


def test_shots_stand_before_the_question_and_follow_from_the_seed(
    subject: Subject, quiz: Path, tmp_path: Path
) -> None:
    def prompts(seed: int) -> list[str]:
        task = harness.load(quiz, "quiz", shots=2, seed=seed, cache=tmp_path / "cache")
        samples = harness.measure(subject, task, limit=4).samples
        return [sample["prompt"] for sample in samples]

    assert all(prompt.count("What is") == 3 for prompt in prompts(0))
    assert prompts(0) == prompts(0)
    assert prompts(0) != prompts(1)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ question.__class__ }}",
        "{% set _ = choices.append('x') %}{{ question }}",
    ],
)
def test_a_template_reaches_nothing_but_its_question(
    quiz: Path, tmp_path: Path, template: str
) -> None:
    text = (quiz / "quiz.yaml").read_text().splitlines()
    lines = [f"doc_to_text: {json.dumps(template)}" if "doc_to_text" in t else t for t in text]
    (quiz / "quiz.yaml").write_text("\n".join(lines))
    with pytest.raises(PodFailure, match=r"SecurityError|UndefinedError") as failure:
        harness.load(quiz, "quiz", shots=0, seed=0, cache=tmp_path / "cache")
    assert failure.value.reason == "HarnessTaskInvalid"


def test_data_that_is_damaged_is_said_so(quiz: Path, tmp_path: Path) -> None:
    (quiz / "quiz.jsonl").write_text('{"question": ')
    with pytest.raises(PodFailure, match="correct its files"):
        harness.load(quiz, "quiz", shots=0, seed=0, cache=tmp_path / "cache")


def test_a_question_that_the_task_does_not_fit_is_said_so(
    subject: Subject, quiz: Path, tmp_path: Path
) -> None:
    with (quiz / "quiz.jsonl").open("a") as file:
        file.write('{"question": "Which?", "choices": ["a", "b"], "answer": null}\n')
    task = harness.load(quiz, "quiz", shots=0, seed=0, cache=tmp_path / "cache")
    with pytest.raises(PodFailure, match="correct its files") as failure:
        harness.measure(subject, task, limit=None)
    assert failure.value.reason == "HarnessTaskInvalid"


def test_the_model_is_left_as_it_was(subject: Subject, quiz: Path, tmp_path: Path) -> None:
    ids = torch.arange(10)[None]
    with torch.no_grad():
        before = subject.model(input_ids=ids).logits
        task = harness.load(quiz, "quiz", shots=0, seed=0, cache=tmp_path / "cache")
        harness.measure(subject, task, limit=2)
        assert torch.equal(subject.model(input_ids=ids).logits, before)
