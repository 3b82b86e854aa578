from __future__ import annotations

from pathlib import Path

import pytest

from cupola_api.outcome import FailureClass
from cupola_trainer.evaluate import harness_config
from cupola_trainer.pod import PodFailure

TASK = """
task: quiz
dataset_path: json
dataset_kwargs: {data_files: {test: data/quiz.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: [A, B]
doc_to_target: answer
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "quiz" / "data").mkdir(parents=True)
    (tmp_path / "quiz" / "data" / "quiz.jsonl").write_text("{}\n")
    (tmp_path / "outside.jsonl").write_text("{}\n")
    (tmp_path / "outside.yaml").write_text("description: no\n")
    return tmp_path / "quiz"


def write(folder: Path, text: str, name: str = "quiz.yaml") -> Path:
    (folder / name).write_text(text)
    return folder


def test_data_files_are_found_beside_the_task(folder: Path) -> None:
    config = harness_config.load(write(folder, TASK), "quiz")
    files = config["dataset_kwargs"]["data_files"]
    assert files == {"test": [str(folder / "data" / "quiz.jsonl")]}


def test_includes_are_followed_and_the_tasks_own_fields_win(folder: Path) -> None:
    write(folder, f"{TASK}\ndescription: theirs\ntarget_delimiter: ':'\n", "_shared")
    config = harness_config.load(
        write(folder, "include: _shared\ntask: mine\ndescription: mine\n"), "mine"
    )
    assert config["task"] == "mine"
    assert config["description"] == "mine"
    assert config["target_delimiter"] == ":"
    assert "include" not in config


def test_code_in_another_task_of_the_folder_does_no_harm(folder: Path) -> None:
    write(folder, "task: other\nprocess_docs: !function utils.f\n", "a.yaml")
    assert harness_config.load(write(folder, TASK), "quiz")["task"] == "quiz"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"{TASK}process_docs: !function utils.f", "names Python code .* utils.f"),
        (f"{TASK}description: !function utils.f", "names Python code"),
        (TASK.replace('"{{question}}"', "!function os.system"), "names Python code"),
        (f"{TASK}x: !!python/object/apply:os.system [ls]", "not YAML"),
        (f"{TASK}class: Anything", "the field class, which is not supported"),
        (f"{TASK}unsafe_code: true", "the field unsafe_code"),
        (f"{TASK}use_prompt: promptsource:all", "the field use_prompt"),
        (f"{TASK}custom_dataset: x", "the field custom_dataset"),
        (TASK.replace("json\n", "cais/mmlu\n", 1), "nothing is downloaded"),
        (TASK.replace("json\n", "../quiz\n", 1), "nothing is downloaded"),
        (TASK.replace("json\n", "pandas\n", 1), "nothing is downloaded"),
        (TASK.replace("data/quiz.jsonl", "/etc/passwd"), "write a path relative"),
        (TASK.replace("data/quiz.jsonl", "../outside.jsonl"), "outside the task's folder"),
        (TASK.replace("data/quiz.jsonl", "hf://x/y"), "write a path relative"),
        (TASK.replace("data/quiz.jsonl", "zip::x"), "write a path relative"),
        (TASK.replace("data/quiz.jsonl", "gone.jsonl"), "is not there; copy it"),
        (TASK.replace("data_files:", "trust_remote_code:"), "dataset_kwargs field trust_remote"),
        (TASK.replace("metric: acc", "metric: ./evil"), "the metric ./evil"),
        (TASK.replace("metric: acc,", "metric: acc, hf_evaluate: true,"), "metric_list"),
        (f"{TASK}generation_kwargs: {{custom_generate: x}}", "custom_generate"),
        (f"{TASK}include: ../outside.yaml", "outside the task's folder"),
        (f"{TASK}include: /etc/passwd", "write a path relative"),
        (f"{TASK}include: quiz.yaml", "includes it again"),
        (f"{TASK}x: [", "not YAML"),
        ("task: quiz\n" + "#" * (1 << 20), "more than 1048576 bytes"),
        ("task: something\n", "has no task 'quiz' in its 1"),
        ("- a list\n", "has no task 'quiz'"),
    ],
)
def test_what_is_not_plain_data_is_refused(folder: Path, text: str, sentence: str) -> None:
    with pytest.raises(PodFailure, match=sentence) as failure:
        harness_config.load(write(folder, text), "quiz")
    assert failure.value.reason == "HarnessTaskInvalid"
    assert failure.value.failure is FailureClass.USER


def test_code_in_an_included_file_is_refused(folder: Path) -> None:
    write(folder, "process_docs: !function utils.f\n", "_shared")
    with pytest.raises(PodFailure, match="names Python code"):
        harness_config.load(write(folder, f"include: _shared\n{TASK}"), "quiz")


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(PodFailure, match=r"spec\.tasks\[\]\.harness"):
        harness_config.load(tmp_path / "nowhere", "quiz")


def test_the_digest_of_a_folder_is_that_of_names_and_contents(folder: Path) -> None:
    before = harness_config.digest(write(folder, TASK))
    assert harness_config.digest(folder) == before
    (folder / "data" / "quiz.jsonl").write_text("{} \n")
    assert harness_config.digest(folder) != before
