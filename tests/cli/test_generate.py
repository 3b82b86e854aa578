from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from cupola_operator.cli import app, generate

PROMPT = "Return the larger of two numbers."


def run(workdir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["generate", "--workdir", str(workdir), *arguments])


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would be run."""
    kept: list[str] = []
    monkeypatch.setattr(generate, "_run", lambda words: kept.extend(words) or 7)
    return kept


def test_the_prompt_is_one_argument_whatever_it_says(workdir: Path, command: list[str]) -> None:
    prompt = '--model $(id); `x` "quoted"\nline'
    found = run(workdir, "python-writer", "--max-new-tokens", "9", "--", prompt)
    assert found.exit_code == 7
    assert found.stderr == "FineTune/python-writer answers\n"
    assert command[:3] == [sys.executable, "-m", "cupola_trainer.generate"]
    folder = Path(command[command.index("--model") + 1])
    assert (folder / "manifest.json").is_file()
    assert command[5:] == [
        *("--max-new-tokens", "9", "--temperature", "0.0", "--seed", "0"),
        *("--", prompt),
    ]


def test_of_two_models_with_one_name_the_tuned_one_answers(
    workdir: Path, command: list[str]
) -> None:
    objects = workdir / "objects"
    value = yaml.safe_load((objects / "PretrainJob/default/python-base.yaml").read_text())
    value["metadata"]["name"] = "python-writer"
    (objects / "PretrainJob/default/python-writer.yaml").write_text(yaml.safe_dump(value))
    assert run(workdir, "python-writer", PROMPT).stderr == "FineTune/python-writer answers\n"
    assert run(workdir, "ptj/python-writer", PROMPT).stderr == "PretrainJob/python-writer answers\n"
    assert command


def test_a_kind_that_makes_no_model_is_refused(workdir: Path, command: list[str]) -> None:
    found = run(workdir, "dset/python-functions", PROMPT)
    assert found.exit_code == 1
    assert found.stderr == "'dset' is no kind here; write one of FineTune, PretrainJob\n"
    assert not command


def test_a_model_that_is_not_made_yet_is_said(workdir: Path, command: list[str]) -> None:
    path = workdir / "objects/PretrainJob/default/python-base.yaml"
    value = yaml.safe_load(path.read_text())
    del value["status"]["artifact"]
    value["status"]["phase"] = "Running"
    value["status"]["conditions"][0]["message"] = "It trains."
    path.write_text(yaml.safe_dump(value))
    found = run(workdir, "python-base", PROMPT)
    assert found.exit_code == 1
    assert found.stderr == "PretrainJob/python-base has no model yet, it is Running: It trains.\n"
    assert not command


def test_a_model_that_is_gone_is_said(workdir: Path, command: list[str]) -> None:
    shutil.rmtree(workdir / "store")
    found = run(workdir, "python-base", PROMPT)
    assert found.exit_code == 1
    assert "is gone; raise spec.revision to make it again" in found.stderr
    assert not command


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("raise SystemExit(3)", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("import os; raise SystemExit(os.environ['HF_HUB_OFFLINE'] != '1')", 0),
    ],
)
def test_the_exit_code_is_that_of_the_program(program: str, code: int) -> None:
    assert generate._run([sys.executable, "-c", program]) == code


def test_what_the_program_prints_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    generate._run(
        [sys.executable, "-c", "import sys; print(sys.argv[1:])", "--", json.dumps("a b")]
    )
    assert capfd.readouterr().out == "['--', '\"a b\"']\n"


def test_an_interrupt_ends_the_program_without_a_traceback() -> None:
    endless = "import time; print('here', flush=True); time.sleep(60)"
    program = (
        "import sys; from cupola_operator.cli import generate; "
        f"sys.exit(generate._run([sys.executable, '-c', {endless!r}]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)  # ends when the program inside has ended too
    assert (child.returncode, out, err) == (130, "", "")
