"""The commands that change something, without a shell, with one, and with one that does not answer."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cupola_api import API_VERSION, kinds
from cupola_operator import labels
from cupola_operator.cli import app, ask
from cupola_operator.cluster import Key, Object
from cupola_operator.local import change, lock, requests
from cupola_operator.local.store import Store

KEY = Key("Dataset", "default", "docs")


def _dataset(name: str = "docs", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Dataset",
        "metadata": {"name": name},
        "spec": {"sources": [{"name": "a", "uri": "store:///a", "format": "Jsonl"}], **spec},
    }


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    Store(folder).apply(kinds.parse(_dataset()))
    return folder


def _run(work: Path, *arguments: object) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments), "--workdir", str(work)])
    assert "Traceback" not in result.output
    assert not isinstance(result.exception, OSError | ValueError | TypeError)
    return result


def _there(work: Path) -> Object:
    value = Store(work).get(KEY)
    assert value
    return value


def _has(work: Path, phase: str) -> None:
    store = Store(work)
    store.patch_status(KEY, {"phase": phase}, _there(work)["metadata"]["resourceVersion"])


@contextmanager
def _shell(work: Path) -> Iterator[Store]:
    """Holds the lock and does what is asked, as the real shell does in its loop."""
    ended = threading.Event()
    with lock.hold(work):
        store = Store(work)

        def loop() -> None:
            while not ended.wait(0.02):
                requests.settle(work, partial(change.perform, store, live=True))

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield store
        finally:
            ended.set()
            thread.join()


def _nothing_left(work: Path) -> bool:
    return not (work / "requests").exists() or not list((work / "requests").iterdir())


def test_suspend_and_resume_without_a_shell(work: Path) -> None:
    result = _run(work, "suspend", "docs")
    assert (result.exit_code, result.stdout) == (
        0,
        "Dataset/docs is suspended: nothing of it starts until cupola resume Dataset/docs.\n",
    )
    assert _there(work)["spec"]["suspend"] is True
    result = _run(work, "resume", "dset/docs")
    assert result.exit_code == 0
    assert _there(work)["spec"]["suspend"] is False
    assert _nothing_left(work)


def test_with_a_shell_it_does_what_is_asked(work: Path) -> None:
    with _shell(work) as store:
        result = _run(work, "suspend", "docs")
        assert result.exit_code == 0
        assert "is suspended: nothing of it starts" in result.stdout
        value = store.get(KEY)
        assert value
        assert value["spec"]["suspend"] is True
    assert _nothing_left(work)


def test_a_retry_sets_a_token_that_was_not_there_before(work: Path) -> None:
    _has(work, "Failed")
    seen = set()
    for _ in range(2):
        assert _run(work, "retry", "docs").exit_code == 0
        token = _there(work)["metadata"]["annotations"][labels.RETRY]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", token)
        seen.add(token)
    assert len(seen) == 2


@pytest.mark.parametrize("live", [False, True])
def test_what_is_refused_is_said_with_exit_code_1(work: Path, live: bool) -> None:
    _has(work, "Running")
    if live:
        with _shell(work):
            result = _run(work, "retry", "docs")
    else:
        result = _run(work, "retry", "docs")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Dataset/docs is Running; only what has Failed is tried again\n"
    assert _nothing_left(work)


def test_delete_takes_a_resource_away(work: Path) -> None:
    result = _run(work, "delete", "docs")
    assert result.exit_code == 0
    assert "What it made stays in the store" in result.stdout
    assert Store(work).get(KEY) is None


@pytest.mark.parametrize("live", [False, True])
def test_apply_creates_and_changes(work: Path, tmp_path: Path, live: bool) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all([_dataset(maxPods=2), _dataset("more")]))
    if live:
        with _shell(work):
            result = _run(work, "apply", "-f", file)
    else:
        result = _run(work, "apply", "-f", file)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "Dataset/docs configured",
        "Dataset/more created",
        "cupola run works on it now."
        if live
        else "Nothing runs yet: cupola run in this work directory works on it.",
    ]
    assert _there(work)["spec"]["maxPods"] == 2


def test_apply_refuses_bad_files_before_it_asks_anybody(work: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump(_dataset(sources=[])))
    result = _run(work, "apply", "-f", file)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{file}:")
    file.write_text(yaml.safe_dump(_dataset(seed=7)))
    result = _run(work, "apply", "-f", file)
    assert result.exit_code == 1
    assert "raise spec.revision" in result.stderr
    assert _nothing_left(work)


@pytest.mark.parametrize("verb", ["suspend", "resume", "retry", "delete"])
@pytest.mark.parametrize("name", ["nothing", "pods/docs", "../../docs", "dset/../docs", "dset/"])
def test_what_is_not_there_is_said_and_nothing_is_made(work: Path, verb: str, name: str) -> None:
    before = sorted(work.parent.rglob("*"))
    result = _run(work, verb, name)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert sorted(work.parent.rglob("*")) == before


@pytest.mark.parametrize("verb", ["suspend", "resume", "retry", "delete"])
def test_a_folder_that_is_no_work_directory_is_not_made(tmp_path: Path, verb: str) -> None:
    result = _run(tmp_path / "none", verb, "docs")
    assert result.exit_code == 1
    assert "does not exist" in result.stderr
    assert not (tmp_path / "none").exists()


def test_a_shell_that_does_not_answer_is_named_and_nothing_is_changed(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "PATIENCE", 0.3)
    with lock.hold(work):
        result = _run(work, "delete", "docs")
        pid = (work / "lock").read_text().strip()
    assert result.exit_code == 1
    assert f"(pid {pid}) does not answer" in result.stderr
    assert "nothing was changed" in result.stderr
    assert _there(work)
    assert _nothing_left(work)


def test_a_request_that_was_taken_and_not_answered_is_said(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "PATIENCE", 0.3)
    ended = threading.Event()

    def take() -> None:
        while not ended.wait(0.02):
            for path in (work / "requests").glob("*.json"):
                path.replace(path.with_suffix(".taken"))

    with lock.hold(work):
        thread = threading.Thread(target=take)
        thread.start()
        result = _run(work, "suspend", "docs")
        ended.set()
        thread.join()
    assert result.exit_code == 1
    assert "took the request and has not answered yet" in result.stderr


HOLDER = """
import sys, time
from pathlib import Path
from cupola_operator.local.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def test_when_the_shell_dies_the_command_does_it_itself(work: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(work)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        command = [Path(sys.executable).with_name("cupola"), "suspend", "docs", "--workdir", work]
        with subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, text=True
        ) as asking:
            while _nothing_left(work):
                assert asking.poll() is None
            holder.send_signal(signal.SIGKILL)
            output, _ = asking.communicate(timeout=30)
    assert asking.returncode == 0
    assert "is suspended: nothing of it starts" in output
    assert _there(work)["spec"]["suspend"] is True
    assert _nothing_left(work)


def test_what_a_dead_command_left_comes_before_what_is_asked_now(work: Path) -> None:
    identity = {**KEY._asdict(), "uid": _there(work)["metadata"]["uid"]}
    requests.put(work, change.Suspend(**identity))
    assert _run(work, "resume", "docs").exit_code == 0
    assert _there(work)["spec"]["suspend"] is False


def test_a_broken_object_is_said_and_the_request_is_taken_back(work: Path) -> None:
    (work / "objects/FineTune/default").mkdir(parents=True)
    torn = work / "objects/FineTune/default/x.yaml"
    torn.write_text("a: [")
    result = _run(work, "suspend", "docs")
    assert result.exit_code == 1
    assert "x.yaml is not YAML" in result.stderr
    assert _nothing_left(work)
