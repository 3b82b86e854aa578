from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cupola_operator.local import requests
from cupola_operator.local.change import Change, Delete, Done, Resume, Suspend
from cupola_operator.local.requests import Answer
from cupola_operator.local.store import Refused

SUSPEND = Suspend(kind="Dataset", namespace="n", name="d", uid="u")
RESUME = Resume(**SUSPEND.model_dump(exclude={"verb"}))
DELETE = Delete(**SUSPEND.model_dump(exclude={"verb"}))


class Holder:
    """Holds the lock, and remembers what it was asked."""

    def __init__(self, workdir: Path) -> None:
        self.workdir = workdir
        self.asked: list[Change] = []
        self.fails: Exception | None = None

    def perform(self, change: Change) -> Done:
        self.asked.append(change)
        if self.fails:
            raise self.fails
        return Done([f"{change.verb} done"], [])

    def settle(self) -> None:
        requests.settle(self.workdir, self.perform)


@pytest.fixture
def holder(tmp_path: Path) -> Holder:
    return Holder(tmp_path)


def _left(workdir: Path) -> list[str]:
    folder = workdir / "requests"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_request_is_done_and_answered_once(holder: Holder) -> None:
    request = requests.put(holder.workdir, SUSPEND)
    assert requests.answer(request) is None
    holder.settle()
    assert requests.answer(request) == Answer(done=True, sentences=["suspend done"])
    assert requests.answer(request) is None
    holder.settle()
    assert holder.asked == [SUSPEND]
    assert _left(holder.workdir) == []


def test_a_refusal_is_an_answer(holder: Holder) -> None:
    holder.fails = Refused("one\ntwo")
    request = requests.put(holder.workdir, SUSPEND)
    holder.settle()
    assert requests.answer(request) == Answer(done=False, sentences=["one", "two"])
    assert _left(holder.workdir) == []


def test_without_requests_nothing_is_made(holder: Holder) -> None:
    holder.settle()
    assert list(holder.workdir.iterdir()) == []


def test_what_dead_commands_left_is_done_in_their_order(holder: Holder) -> None:
    for change in (SUSPEND, RESUME, DELETE):
        requests.put(holder.workdir, change)
    holder.settle()
    assert holder.asked == [SUSPEND, RESUME, DELETE]
    assert [name.rsplit(".", 1)[1] for name in _left(holder.workdir)] == ["answer"] * 3


def test_what_a_dead_shell_had_taken_is_done_again_and_first(holder: Holder) -> None:
    first = requests.put(holder.workdir, SUSPEND)
    requests.put(holder.workdir, RESUME)
    holder.fails = RuntimeError("the shell dies while it does this")
    with pytest.raises(RuntimeError):
        holder.settle()
    assert first.with_suffix(".taken").exists()
    holder.fails = None
    holder.asked.clear()
    holder.settle()
    assert holder.asked == [SUSPEND, RESUME]
    assert requests.answer(first) == Answer(done=True, sentences=["suspend done"])


def test_a_request_that_was_taken_back_is_not_done(holder: Holder) -> None:
    assert requests.withdraw(requests.put(holder.workdir, SUSPEND))
    holder.settle()
    assert holder.asked == []


def test_one_that_was_taken_cannot_be_taken_back(holder: Holder) -> None:
    request = requests.put(holder.workdir, SUSPEND)
    holder.settle()
    assert not requests.withdraw(request)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"verb": "shred"}', '{"verb": "suspend"}', "\xff"]
)
def test_a_request_of_another_form_is_answered_and_removed(holder: Holder, text: str) -> None:
    request = requests.put(holder.workdir, SUSPEND)
    request.write_bytes(text.encode("latin-1"))
    holder.settle()
    found = requests.answer(request)
    assert found
    assert not found.done
    assert "is no request that is understood" in found.sentences[0]
    assert holder.asked == []
    assert _left(holder.workdir) == []


def test_a_request_that_is_too_large_is_not_read(
    holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MAX_BYTES", 10)
    request = requests.put(holder.workdir, SUSPEND)
    holder.settle()
    found = requests.answer(request)
    assert found
    assert not found.done


def test_what_nobody_fetched_goes_after_a_minute_and_other_files_are_no_requests(
    holder: Holder,
) -> None:
    request = requests.put(holder.workdir, SUSPEND)
    holder.settle()
    torn = request.with_name(f".{request.name}.1.tmp")
    torn.write_text("{")
    other = request.with_name("suspend.json")
    other.write_text(request.with_suffix(".answer").read_text())
    holder.settle()
    assert len(_left(holder.workdir)) == 3
    for path in (torn, other, request.with_suffix(".answer")):
        os.utime(path, (time.time() - 61,) * 2)
    holder.settle()
    assert _left(holder.workdir) == []
    assert holder.asked == [SUSPEND]
