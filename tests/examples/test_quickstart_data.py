from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from cupola_trainer.evaluate.verdict import Verdict, verdict

SCRIPTS = Path(__file__).parents[2] / "manifests" / "examples" / "quickstart-data"

MODULE = '''
import x

def plain(a, b=1):
    """Add two numbers.

    At length.
    """
    # Said by a person.
    return (a +
            b)

class Thing:
    @property
    def size(self):
        """Return the size of it. >>> thing.size"""
        def inner():
            """Not counted on its own."""
        return inner

    def nothing(self):
        """Does nothing at all."""
        pass

    def missing(self):
        """Is not written yet."""
        raise NotImplementedError("later")

    async def wait(self):
        """Too short."""
        await x

if x:
    def undocumented():
        return 1

    def one_line(): "On one line."; return 2

    def text(self):
        """Return some lines of text."""
        return """
left of all
"""
'''


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def imported(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return imported


def records(folder: Path) -> list[dict[str, Any]]:
    paths = sorted(folder.glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_functions_are_cut_out_whole_and_apart_from_their_docstrings(
    load: Any, tmp_path: Path
) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "module.py").write_text(MODULE)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "module.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("def f(:")
    found = list(load("python_functions").harvest(tmp_path))
    assert [(record["path"], record["name"]) for record in found] == [
        ("pkg/module.py", "plain"),
        ("pkg/module.py", "Thing.size"),
    ]
    plain, size = found
    assert plain["description"] == "Add two numbers."
    assert plain["code"] == (
        "def plain(a, b=1):\n    # Said by a person.\n    return (a +\n            b)"
    )
    assert plain["text"].startswith('def plain(a, b=1):\n    """Add two numbers.\n')
    assert plain["text"].endswith("b)")
    assert size["description"] == "Return the size of it."
    assert size["code"].startswith("def size(self):\n    def inner():")


def test_files_stay_within_their_size_and_hold_every_record_once(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load("python_functions")
    monkeypatch.setattr(script, "FILE_BYTES", 100)
    given = [{"text": "x" * length} for length in (10, 50, 200, 30, 30)]
    files = script.split(given)
    assert list(files) == ["000.jsonl", "001.jsonl", "002.jsonl"]
    read = [json.loads(line) for text in files.values() for line in text.splitlines()]
    assert read == given


def test_the_standard_library_gives_prompts_and_answers_that_the_exam_accepts(
    tmp_path: Path,
) -> None:
    done = run("python_functions.py", "--store", str(tmp_path))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "python-functions"
    found = records(folder)
    assert f"{len(found)} functions" in done.stdout
    assert len(found) > 4000
    assert sum(len(record["text"]) for record in found) > 3_000_000
    assert all(path.stat().st_size <= 1 << 20 for path in folder.iterdir())
    verdicts = Counter(verdict(record["code"], ended=True) for record in found[::5])
    assert list(verdicts) == [Verdict.FUNCTION]
    for record in found[::50]:
        (function,) = ast.parse(record["text"]).body
        assert ast.get_docstring(function) is not None  # type: ignore[arg-type]
        assert len(record["description"].split()) >= 3
        assert "\n" not in record["description"]


def test_what_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("mmlu_dev.py", "--store", str(tmp_path / "file"))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "--store" in done.stderr
    assert "Traceback" not in done.stderr


def test_publishing_again_replaces_all_of_it(load: Any, tmp_path: Path) -> None:
    publish = load("publish").publish
    folder = tmp_path / "a" / "b"
    publish(folder, {"old": "1", "kept": "1"})
    assert publish(folder, {"kept": "2", "new": "3"}) == 2
    assert {p.name: p.read_text() for p in folder.iterdir()} == {"kept": "2", "new": "3"}
    assert [p.name for p in folder.parent.iterdir()] == ["b"]


PROMPT = """The following are multiple choice questions (with answers) about tests.

Q: One line.
(A) first (B) second, longer (C) (third) (D) fourth
A: Let's think step by step. Not (A). The answer is (B).

Q: Over
two lines?
(A) 1
(B) 2
(C) 3
(D) 4
A: Let's think step by step. The answer is (D)."""


def test_questions_are_read_from_a_prompt(load: Any) -> None:
    found, malformed = load("mmlu_dev").questions({"tests": PROMPT})
    assert found == [
        {
            "subject": "tests",
            "question": "One line.",
            "choices": ["first", "second, longer", "(third)", "fourth"],
            "answer": 1,
        },
        {
            "subject": "tests",
            "question": "Over\ntwo lines?",
            "choices": ["1", "2", "3", "4"],
            "answer": 3,
        },
    ]
    assert malformed.total() == 0


@pytest.mark.parametrize(
    "text",
    [
        "Three?\n(A) 1 (B) 2 (C) 3\nA: The answer is (C).",
        "None?\n(A) 1 (B) 2 (C) 3 (D) 4\nA: Who knows.",
        "Two?\n(A) 1 (B) 2 (C) 3 (D) 4\nA: The answer is (A). No, the answer is (B).",
        "Outside?\n(A) 1 (B) 2 (C) 3 (D) 4\nA: The answer is (E).",
    ],
)
def test_a_malformed_question_is_left_out_and_counted(load: Any, text: str) -> None:
    found, malformed = load("mmlu_dev").questions({"tests": f"Head.\n\nQ: {text}"})
    assert found == []
    assert malformed == {"tests": 1}


def test_a_question_may_have_a_fifth_choice(load: Any) -> None:
    text = "Head.\n\nQ: Five?\n(A) 1 (B) 2 (C) 3 (D) 4 (E) 5\nA: The answer is (E)."
    found, _ = load("mmlu_dev").questions({"tests": text})
    assert found[0]["choices"] == ["1", "2", "3", "4", "5"]
    assert found[0]["answer"] == 4


def test_the_benchmark_holds_the_dev_questions_of_57_subjects(tmp_path: Path) -> None:
    done = run("mmlu_dev.py", "--store", str(tmp_path))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "benchmarks" / "mmlu-dev"
    found = records(folder)
    assert len(found) == 282
    assert "0 malformed" in done.stdout
    subjects = Counter(question["subject"] for question in found)
    assert len(subjects) == 57
    assert set(subjects.values()) <= {4, 5}
    for question in found:
        assert all(question["choices"])
        assert question["answer"] in range(len(question["choices"]))
    assert Counter(len(question["choices"]) for question in found) == {4: 281, 5: 1}
    task = yaml.safe_load((folder / "mmlu_dev.yaml").read_text())
    assert task["task"] == "mmlu_dev"
    assert task["dataset_kwargs"]["data_files"] == {"test": "mmlu_dev.jsonl"}
