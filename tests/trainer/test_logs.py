"""Real programs, and what is kept of what they print."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cupola_api import run
from cupola_trainer import logs, storage

pytestmark = pytest.mark.timeout(60)


def keep(uri: str | None, program: str, *, seconds: float = 30.0) -> subprocess.Popen[bytes]:
    """A program of Python as a pod runs it."""
    variables = {name: value for name, value in os.environ.items() if name != logs.LOG}
    started = (
        "import os, sys\nfrom cupola_trainer import logs\n"
        f"logs.SECONDS = {seconds}\nlogs.LAST_SECONDS = 5.0\n"
        "os._exit(logs.main([sys.executable, '-uc', sys.argv[1]]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", started, program],
        env=variables | ({logs.LOG: uri} if uri else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


BOTH = """
import os, sys
os.write(1, b"out 1\\n\\xff\\n")
os.write(2, b"err 1\\n")
os.write(1, b"without an end")
sys.exit(3)
"""


def test_what_is_printed_goes_on_and_is_kept_and_the_exit_code_is_the_programs(
    tmp_path: Path,
) -> None:
    place = tmp_path / "run/logs/a1/pod.log"
    out, err = (process := keep(place.as_uri(), BOTH)).communicate()
    assert (process.returncode, out, err) == (3, b"out 1\n\xff\nwithout an end", b"err 1\n")
    assert sorted(place.read_bytes().splitlines()) == [
        b"err 1",
        b"out 1",
        b"without an end",
        b"\xff",
    ]


def test_it_is_kept_in_a_bucket(bucket: str) -> None:
    uri = f"{bucket}/logs/a1/pod.log"
    process = keep(uri, "print('hello')")
    assert process.communicate() == (b"hello\n", b"")
    assert process.returncode == 0
    assert storage.read(storage.place_of(uri)) == b"hello\n"


def test_a_pod_that_is_killed_leaves_what_was_put_last(tmp_path: Path) -> None:
    place = tmp_path / "pod.log"
    process = keep(place.as_uri(), "import time; print('begun'); time.sleep(1000)", seconds=0.1)
    while not place.exists():
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert place.read_bytes() == b"begun\n"


STOPS = """
import signal, sys, time
def stop(number, frame):
    print("saved")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print("ready")
time.sleep(1000)
"""


def test_sigterm_goes_on_to_the_program_which_ends_in_its_time(tmp_path: Path) -> None:
    place = tmp_path / "pod.log"
    process = keep(place.as_uri(), STOPS)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    assert process.communicate() == (b"saved\n", b"")
    assert process.returncode == 143
    assert place.read_bytes() == b"ready\nsaved\n"


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 128 + signal.SIGTERM),
        ("pass", 0),
    ],
)
def test_the_end_by_a_signal_is_told_as_shells_do(tmp_path: Path, program: str, code: int) -> None:
    process = keep((tmp_path / "pod.log").as_uri(), program)
    process.communicate()
    assert process.returncode == code


@pytest.mark.parametrize("uri", ["file:///proc/nowhere/pod.log", "gopher://nowhere"])
def test_storage_that_fails_is_said_once_and_changes_nothing(uri: str) -> None:
    program = "import time\nfor n in range(20): print(n); time.sleep(0.05)"
    process = keep(uri, program, seconds=0.05)
    out, err = process.communicate()
    assert process.returncode == 0
    assert out.split() == [str(n).encode() for n in range(20)]
    assert err.startswith(f"warning: what this pod prints is not kept at {uri}: ".encode())
    assert err.count(b"\n") == 1


def test_storage_that_answers_again_gets_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    place = tmp_path / "logs/pod.log"
    process = keep(place.as_uri(), "import time; print('one'); time.sleep(1000)", seconds=0.05)
    assert process.stderr is not None
    assert b"is not kept" in process.stderr.readline()
    (tmp_path / "logs").unlink()
    while not place.exists():
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert place.read_bytes().startswith(b"one\n")


def test_without_a_place_nothing_is_kept() -> None:
    process = keep(None, "print('hello')")
    assert process.communicate() == (b"hello\n", b"")


def test_what_cannot_be_run_is_said() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "cupola_trainer.logs", "/no/such/program"],
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert process.returncode == 127
    assert process.stderr == b"/no/such/program cannot be run: No such file or directory\n"


def test_the_beginning_and_the_end_of_much_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "HEAD", 20)
    monkeypatch.setattr(logs, "TAIL", 20)
    kept = logs.Kept()
    for number in range(100):
        kept.add(b"line %02d\n" % number)
    lines = kept.content().splitlines()
    assert lines[:2] == [b"line 00", b"line 01"]
    assert lines[2] == b"[768 bytes are left out here]"
    assert lines[3:] == [b"line 98", b"line 99"]
    assert kept.changes == 100


def test_the_variable_is_the_one_of_the_contract() -> None:
    assert logs.LOG == run.LOG
