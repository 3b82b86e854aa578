from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cupola_operator.local.lock import WorkdirBusy, WorkdirUnusable, hold, is_held

HOLDER = """
import sys, time
from pathlib import Path
from cupola_operator.local.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def test_a_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WorkdirUnusable, match=f"pid {holder.pid}"), hold(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with hold(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_holder_that_is_done_soon_is_waited_for(tmp_path: Path) -> None:
    done = threading.Event()
    waits = threading.Event()

    def first() -> None:
        with hold(tmp_path):
            waits.set()
            done.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    waits.wait(10)
    with pytest.raises(WorkdirBusy), hold(tmp_path, patience=0.1):
        pass
    done.set()
    with hold(tmp_path, patience=10):
        thread.join()


def test_whether_somebody_holds_it_can_be_seen(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with hold(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_the_folder_is_made(tmp_path: Path) -> None:
    with hold(tmp_path / "a/b"):
        assert (tmp_path / "a/b").is_dir()
    with hold(tmp_path / "a/b"):
        pass


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkdirUnusable, match="cannot be used"), hold(tmp_path / "file/x"):
        pass
    with pytest.raises(WorkdirUnusable, match="name another"), hold(tmp_path / "file"):
        pass
