"""Real processes under a real shim."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from cupola_operator.local.processes import MARKER, End, Process, ProcessStuck, end_all, marked

# A program whose child has a session of its own, as torchrun's workers have; both ignore SIGTERM.
FAMILY = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
    open(f"child-{os.getpid()}", "w").close()
    time.sleep(100)
open("parent", "w").close()
time.sleep(100)
"""


def _start(folder: Path, code: str, uid: str | None = None) -> tuple[Process, str]:
    uid = uid or str(uuid.uuid4())
    process = Process(
        [sys.executable, "-c", code],
        environment={"PATH": os.environ["PATH"], MARKER: uid},
        folder=folder,
        log=folder / "log",
        end=folder / "exit.json",
    )
    return process, uid


def _until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def _with_argument(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [str(path)] if text.encode() in path.read_bytes().split(b"\0") else []
    return found


def _family_is_there(folder: Path) -> bool:
    return (folder / "parent").exists() and len(list(folder.glob("child-*"))) == 2


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_an_exit_code_is_recorded(tmp_path: Path, code: int) -> None:
    before = time.time()
    process, _ = _start(tmp_path, f"import sys; print('said'); sys.exit({code})")
    end = process.wait()
    assert end
    assert (end.exit_code, end.signal, end.orphaned) == (code, None, False)
    assert before - 1 <= end.finished_at <= time.time() + 1
    assert (tmp_path / "log").read_text() == "said\n"


def test_a_signal_is_recorded_as_kubernetes_counts_it(tmp_path: Path) -> None:
    process, _ = _start(tmp_path, "import os; os.kill(os.getpid(), 6)")
    end = process.wait()
    assert end
    assert (end.exit_code, end.signal) == (134, 6)


def test_a_program_that_does_not_exist_ends_with_127(tmp_path: Path) -> None:
    process = Process(
        ["no-such-program"], environment={}, folder=tmp_path, log=tmp_path / "log",
        end=tmp_path / "exit.json",
    )  # fmt: skip
    end = process.wait()
    assert end
    assert end.exit_code == 127
    assert (tmp_path / "log").read_text() == (
        "no-such-program cannot be started: No such file or directory\n"
    )


def test_the_log_is_appended_to(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    _start(tmp_path, "import sys; print('out'); print('err', file=sys.stderr)")[0].wait()
    assert sorted((tmp_path / "log").read_text().splitlines()) == ["before", "err", "out"]


def test_a_program_starts_with_signals_as_a_container_gives_them(tmp_path: Path) -> None:
    code = (
        "import os, re, sys\n"
        "text = open('/proc/self/status').read()\n"
        "print([int(re.search(f'{name}:\\t(.*)', text)[1], 16) for name in ('SigBlk',)])\n"
        "os.kill(os.getpid(), 13)"
    )
    end = _start(tmp_path, code)[0].wait()
    assert "[0]" in (tmp_path / "log").read_text()
    assert end
    assert end.signal is None, "Python itself ignores SIGPIPE"
    process = Process(
        ["sh", "-c", "kill -PIPE $$"], environment={"PATH": os.environ["PATH"]},
        folder=tmp_path, log=tmp_path / "log", end=tmp_path / "exit.json",
    )  # fmt: skip
    end = process.wait()
    assert end
    assert end.signal == signal.SIGPIPE


def test_sigterm_reaches_the_program(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "open('ready', 'w').close()\n"
        "time.sleep(100)"
    )
    process, _ = _start(tmp_path, code)
    _until((tmp_path / "ready").exists)
    process.terminate()
    end = process.wait()
    assert end
    assert (end.exit_code, end.signal) == (143, None)


@pytest.mark.parametrize("wait", [0.0, 0.01, 0.02, 0.04])
def test_a_sigterm_that_comes_early_is_not_lost(tmp_path: Path, wait: float) -> None:
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        process = Process(
            ["sleep", "100"],
            environment={"PATH": os.environ["PATH"]},
            folder=tmp_path / str(number),
            log=tmp_path / "log",
            end=tmp_path / str(number) / "exit.json",
        )
        time.sleep(wait)
        process.terminate()
        end = process.wait()
        assert end
        assert (end.exit_code, end.signal) == (143, signal.SIGTERM)


def test_kill_ends_everything_that_the_pod_started(tmp_path: Path) -> None:
    process, uid = _start(tmp_path, FAMILY)
    _until(lambda: _family_is_there(tmp_path))
    process.terminate()
    time.sleep(0.1)
    assert len(marked(uid)) == 4, "shim, program, child and grandchild ignore SIGTERM"
    process.kill()
    end = process.wait()
    assert end
    assert (end.exit_code, end.signal) == (137, 9)
    assert marked(uid) == set()


def test_what_a_program_leaves_behind_is_killed_before_its_end_is_told(tmp_path: Path) -> None:
    mark = f"271{os.getpid()}.5"
    code = (
        "import subprocess\n"
        f"subprocess.Popen(['sleep', '{mark}'], start_new_session=True, env={{}})\n"
        f"subprocess.Popen(['sh', '-c', 'sleep {mark} & sleep {mark}'], start_new_session=True)"
    )
    process, uid = _start(tmp_path, code)
    end = process.wait()
    assert end
    assert end.exit_code == 0
    assert marked(uid) == set()
    assert not _with_argument(mark), "one was started without the uid in its environment"


SHELL = """
import sys, time
from pathlib import Path
from cupola_operator.local.processes import MARKER, Process
folder = Path(sys.argv[1])
Process(
    [sys.executable, "-c", sys.argv[3]],
    environment={MARKER: sys.argv[2]}, folder=folder, log=folder / "log", end=folder / "exit.json",
)
time.sleep(100)
"""


def test_the_death_of_the_shell_ends_its_pods(tmp_path: Path) -> None:
    uid = str(uuid.uuid4())
    shell = subprocess.Popen([sys.executable, "-c", SHELL, str(tmp_path), uid, FAMILY])
    _until(lambda: _family_is_there(tmp_path))
    shell.kill()
    shell.wait()
    _until(lambda: not marked(uid), 5)
    end = End.read(tmp_path / "exit.json")
    assert end
    assert end.orphaned
    assert (end.exit_code, end.signal) == (137, 9)


def test_pods_whose_shim_was_killed_are_found_and_ended(tmp_path: Path) -> None:
    process, uid = _start(tmp_path, FAMILY)
    _until(lambda: _family_is_there(tmp_path))
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() is None
    _until(lambda: len(marked(uid)) == 2, 5)
    end_all(uid)
    assert marked(uid) == set()
    assert not (tmp_path / "exit.json").exists()


def test_only_the_pod_itself_is_ended(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    code = "open('ready', 'w').close(); import time; time.sleep(100)"
    name = str(uuid.uuid4())
    one, uid = _start(tmp_path / "a", code, f"{name}1")
    other, longer = _start(tmp_path / "b", code, f"{name}11")
    _until(lambda: (tmp_path / "a/ready").exists() and (tmp_path / "b/ready").exists())
    end_all(uid)
    one.wait()
    assert len(marked(longer)) == 2
    other.kill()
    other.wait()


def test_patience_lets_a_pod_end_by_itself(tmp_path: Path) -> None:
    process, uid = _start(tmp_path, "import time; time.sleep(0.3)")
    end_all(uid, patience=10)
    end = process.wait()
    assert end
    assert end.exit_code == 0


def test_a_process_that_does_not_end_is_named(tmp_path: Path) -> None:
    process, uid = _start(tmp_path, "import time; time.sleep(100)")
    _until(lambda: marked(uid))
    with pytest.raises(ProcessStuck, match=f"pod uid {uid}"):
        end_all(uid, patience=5, timeout=-5)
    process.kill()
    process.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"exitCode": "x"})])
def test_a_torn_record_of_an_end_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "exit.json"
    assert End.read(path) is None
    path.write_text(text)
    assert End.read(path) is None
