"""The command as a person uses it; where pods run they are real ones of the real reconciler."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cupola_api import API_VERSION, kinds
from cupola_operator.cli import app, load
from cupola_operator.local import lock, requests, shell
from cupola_operator.local.change import Suspend
from cupola_operator.local.store import Store

CUPOLA = Path(sys.executable).with_name("cupola")


def _dataset(name: str = "docs", uri: str = "store:///docs", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Dataset",
        "metadata": {"name": name},
        "spec": {
            "sources": [{"name": "docs", "uri": uri, "format": "Jsonl"}],
            "tokenizer": {"train": {"vocabSize": 600}},
            "validation": 0.1,
            **spec,
        },
    }


def _training(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "PretrainJob",
        "metadata": {"name": "base"},
        "spec": {"datasets": [{"name": "docs"}], "model": {"size": "1M"}, **spec},
    }


def _write(folder: Path, *values: dict[str, Any]) -> Path:
    path = folder / "all.yaml"
    path.write_text(yaml.safe_dump_all(values))
    return path


def _refused(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["run", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result


def test_what_is_wrong_in_the_files_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    path = _write(tmp_path, _dataset(validation=2), _training(tokns="2M"))
    result = _refused("-f", path, "--workdir", tmp_path / "work")
    assert "spec.validation" in result.stderr
    assert "did you mean 'tokens'" in result.stderr
    assert len(result.stderr.splitlines()) == 2
    assert not (tmp_path / "work").exists()


def test_a_reference_that_leads_nowhere_is_named_with_its_place(tmp_path: Path) -> None:
    path = _write(tmp_path, _training(datasets=[{"name": "nothing"}]))
    result = _refused("-f", path, "--workdir", tmp_path / "work")
    assert result.stderr.startswith(
        f"{path}:1 PretrainJob/base: spec.datasets[0].name: Dataset/nothing is neither in the files"
    )
    assert not (tmp_path / "work/objects").exists()


def test_a_change_of_a_run_without_a_new_revision_is_refused(tmp_path: Path) -> None:
    work = tmp_path / "work"
    before = Store(work).apply(kinds.parse(_dataset()))
    path = _write(tmp_path, _dataset(seed=1), _dataset("other"))
    result = _refused("-f", path, "--workdir", work)
    assert "Dataset/docs: " in result.stderr
    assert "raise spec.revision" in result.stderr
    assert Store(work).all() == [before], "a refusal of one leaves all as they were"


def test_a_second_run_in_the_same_work_directory_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, _dataset())
    with lock.hold(tmp_path / "work"):
        result = _refused("-f", path, "--workdir", tmp_path / "work")
    assert f"in use by another cupola run (pid {os.getpid()})" in result.stderr


def test_a_broken_object_stops_the_run(tmp_path: Path) -> None:
    torn = tmp_path / "work/objects/Dataset/default/docs.yaml"
    torn.parent.mkdir(parents=True)
    torn.write_text("kind: Data")
    result = _refused("-f", _write(tmp_path, _dataset()), "--workdir", tmp_path / "work")
    assert str(torn) in result.stderr
    assert torn.read_text() == "kind: Data"


def test_a_work_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, _dataset())
    result = _refused("-f", path, "--workdir", path)
    assert f"{path} cannot be used as a work directory" in result.stderr


def test_settings_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, _dataset())
    bad = tmp_path / "settings.yaml"
    bad.write_text("pools: []\n")
    result = _refused("-f", path, "--workdir", tmp_path / "work", "--settings", bad)
    assert str(bad) in result.stderr


def test_the_settings_of_a_laptop_are_good_and_have_a_price() -> None:
    laptop = load.settings(shell.SETTINGS, store="file:///w/store")
    pool = laptop.pool(laptop.data_pool)
    assert pool
    assert pool.price > 0
    assert laptop.resolve("store:///docs") == "file:///w/store/docs"


def _documents(folder: Path, number: int = 200) -> None:
    folder.mkdir(parents=True)
    text = "The fox number {0} jumps over the dog {1} times and sleeps in the barn by the river."
    lines = [json.dumps({"text": text.format(i, i * 7)}) for i in range(number)]
    (folder / "a.jsonl").write_text("\n".join(lines))


def _start(path: Path, work: Path, **more: Any) -> subprocess.Popen[str]:
    command = [str(CUPOLA), "run", "-f", str(path), "--workdir", str(work)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, text=True, **{**pipes, **more})


def _finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def _status(work: Path) -> dict[str, Any]:
    found: dict[str, Any] = Store(work).find("Dataset")[0]["status"]
    return found


@pytest.mark.local
def test_a_run_that_was_interrupted_goes_on_and_ends(tmp_path: Path) -> None:
    work = tmp_path / "work"
    _documents(work / "store/docs")
    path = _write(tmp_path, _dataset())
    first = _start(path, work)
    assert first.stdout
    while "Running" not in (line := first.stdout.readline()):
        assert line, "it ended before a pod ran"
    first.send_signal(signal.SIGINT)
    code, output = _finish(first)
    assert code == 130, output
    assert "To go on, run the same command again." in output
    assert not [p for p in Store(work).find("Pod") if p.get("status", {}).get("phase") == "Running"]

    code, output = _finish(_start(path, work))
    assert code == 0, output
    assert "Dataset/docs  Succeeded  200 documents" in output
    status = _status(work)
    assert all(a["outcome"] in ("Stopped", "Lost", "Succeeded") for a in status["attempts"])

    code, output = _finish(_start(path, work))
    assert code == 0, output
    assert _status(work) == status, "a finished run is not repeated"


@pytest.mark.local
def test_a_failure_is_told_in_words_and_in_the_exit_code(tmp_path: Path) -> None:
    path = _write(tmp_path, _dataset(uri="store:///nothing"), _training())
    code, output = _finish(_start(path, tmp_path / "work"))
    assert code == 1, output
    assert "nothing" in output
    assert "Traceback" not in output
    assert "PretrainJob/base" in output


@pytest.mark.local
def test_a_terminal_shows_a_table_and_ctrl_c_stops_the_run(tmp_path: Path) -> None:
    work = tmp_path / "work"
    _documents(work / "store/docs")
    master, terminal = pty.openpty()
    process = _start(
        _write(tmp_path, _dataset()),
        work,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
    )
    os.close(terminal)
    seen = ""
    end = time.monotonic() + 30
    while "Running" not in seen:
        assert time.monotonic() < end, seen
        seen += os.read(master, 65536).decode()
    os.write(master, b"\x03")
    try:
        while data := os.read(master, 65536):
            seen += data.decode()
    except OSError:
        pass  # Linux says EIO when the last writer is gone
    os.close(master)
    assert process.wait(timeout=30) == 130
    assert "Resource" in seen
    assert "Dataset/docs" in seen
    assert "Stopping: pods save their work" in seen


def _cupola(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert "Traceback" not in result.output
    return result


def _until_running(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    while "Running" not in (line := process.stdout.readline()):
        assert line, "it ended before a pod ran"


@pytest.mark.local
def test_what_is_suspended_while_it_runs_stays_so_until_it_is_resumed(tmp_path: Path) -> None:
    work = tmp_path / "work"
    _documents(work / "store/docs")
    path = _write(tmp_path, _dataset())
    running = _start(path, work)
    _until_running(running)
    result = _cupola("suspend", "docs", "--workdir", work)
    assert "Dataset/docs " in result.stdout, result.output
    code, output = _finish(running)
    assert code == 1, output
    assert "To go on with Dataset/docs: cupola resume Dataset/docs." in output
    assert _status(work)["phase"] == "Suspended"
    assert not [p for p in Store(work).find("Pod") if p.get("status", {}).get("phase") == "Running"]

    code, output = _finish(_start(path, work))
    assert code == 1, "the file does not name spec.suspend, so it does not resume"
    assert "Suspended" in output

    assert "as soon as cupola run works" in _cupola("resume", "docs", "--workdir", work).stdout
    code, output = _finish(_start(path, work))
    assert code == 0, output
    story = _cupola("get", "dset/docs", "--workdir", work).stdout
    order = ["started", "suspended: spec.suspend is true", "published the data", "  succeeded"]
    places = [story.index(text) for text in order]
    assert places == sorted(places), story


@pytest.mark.local
def test_what_is_applied_to_a_run_is_made_by_it_and_what_is_deleted_is_not(tmp_path: Path) -> None:
    work = tmp_path / "work"
    for name in ("docs", "more", "less"):
        _documents(work / "store" / name)
    running = _start(_write(tmp_path, _dataset(), _dataset("less", "store:///less")), work)
    _until_running(running)
    assert _cupola("delete", "less", "--workdir", work).exit_code == 0
    more = tmp_path / "more.yaml"
    more.write_text(yaml.safe_dump(_dataset("more", "store:///more")))
    result = _cupola("apply", "-f", more, "--workdir", work)
    assert result.stdout == "Dataset/more created\ncupola run works on it now.\n", result.output
    code, output = _finish(running)
    assert code == 1, output
    assert "Dataset/less was deleted" in output
    phases = {v["metadata"]["name"]: v["status"]["phase"] for v in Store(work).find("Dataset")}
    assert phases == {"docs": "Succeeded", "more": "Succeeded"}
    assert not [p for p in Store(work).find("Pod") if "less" in p["metadata"]["name"]]


@pytest.mark.local
def test_what_failed_for_a_cause_outside_of_it_is_tried_again(tmp_path: Path) -> None:
    work = tmp_path / "work"
    path = _write(tmp_path, _dataset())
    code, output = _finish(_start(path, work))
    assert code == 1, output
    assert "if not, cupola retry Dataset/docs." in output
    _documents(work / "store/docs")
    assert _finish(_start(path, work))[0] == 1, "it does not try again by itself"

    assert _cupola("retry", "docs", "--workdir", work).exit_code == 0
    code, output = _finish(_start(path, work))
    assert code == 0, output
    story = _cupola("get", "dset/docs", "--workdir", work).stdout
    assert "forgiven by a retry" in story
    assert "tried again on request" in story


@pytest.mark.local
def test_what_was_asked_of_a_dead_shell_is_done_by_the_next_one(tmp_path: Path) -> None:
    work = tmp_path / "work"
    _documents(work / "store/docs")
    value = Store(work).apply(kinds.parse(_dataset()))
    identity = {"kind": "Dataset", "namespace": "default", "name": "docs"}
    request = requests.put(work, Suspend(**identity, uid=value["metadata"]["uid"]))
    request.rename(request.with_suffix(".taken"))
    code, output = _finish(_start(_write(tmp_path, _dataset()), work))
    assert code == 1, output
    assert _status(work)["phase"] == "Suspended"
    assert [path.suffix for path in (work / "requests").iterdir()] == [".answer"]
