from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cupola_operator.local.lock import WorkdirUnusable, hold

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
