"""Real processes under a real shim."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
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


def _start(
    folder: Path, code: str, uid: str | None = None, *, memory: int | None = None
) -> tuple[Process, str]:
    uid = uid or str(uuid.uuid4())
    process = Process(
        [sys.executable, "-c", code],
        environment={"PATH": os.environ["PATH"], MARKER: uid},
        folder=folder,
        log=folder / "log",
        end=folder / "exit.json",
        memory=memory,
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
    with pytest.raises(ProcessStuck, match=f"{MARKER}={uid}"):
        end_all(uid, patience=5, timeout=-5)
    process.kill()
    process.wait()


def test_a_stopped_supervisor_still_ends_its_pod_when_told(tmp_path: Path) -> None:
    process, uid = _start(tmp_path, FAMILY)
    _until(lambda: _family_is_there(tmp_path))
    for pid in marked(uid):
        os.kill(pid, signal.SIGSTOP)
    process.kill()
    end = process.wait()
    assert end
    assert (end.exit_code, end.signal) == (137, 9)
    assert marked(uid) == set()


# Its grandchildren are known by their parent alone: they have no mark of their own.
UNMARKED = """
import os, subprocess, time
if os.fork() == 0:
    os.setsid()
    for _ in range(8):
        subprocess.Popen(["sleep", "{0}"], env={{}}, start_new_session=True)
    open("ready", "w").close()
    time.sleep(100)
time.sleep(100)
"""


def test_processes_that_wiped_their_environment_are_ended_with_their_parent(
    tmp_path: Path,
) -> None:
    sign = f"272{os.getpid()}.5"
    process, uid = _start(tmp_path, UNMARKED.format(sign))
    _until((tmp_path / "ready").exists)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() is None
    assert len(_with_argument(sign)) == 8
    end_all(uid)
    _until(lambda: not _with_argument(sign))


def test_processes_that_start_their_successors_and_end_are_caught(tmp_path: Path) -> None:
    code = "import os\nwhile True:\n    if os.fork(): os._exit(0)"
    process, uid = _start(tmp_path, code)
    end = process.wait()
    assert end
    assert end.exit_code == 0
    assert marked(uid) == set()


def test_what_is_orphaned_in_a_pod_is_reaped(tmp_path: Path) -> None:
    code = """
import os, time
from pathlib import Path
for _ in range(50):
    if os.fork() == 0:
        if os.fork():
            os._exit(0)
        os.setsid()
        os._exit(0)
    os.wait()
shim = os.getppid()
def left():
    states = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == shim and int(path.parent.name) != os.getpid():
            states.append(words[0])
    return states
end = time.monotonic() + 10
while left() and time.monotonic() < end:
    time.sleep(0.01)
print(left())
"""
    end = _start(tmp_path, code)[0].wait()
    assert end
    assert end.exit_code == 0
    assert (tmp_path / "log").read_text() == "[]\n"


MIB = 2**20

FILL = """
import mmap, os, sys, time

def take(mib):
    taken = mmap.mmap(-1, mib << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for page in range(0, mib << 20, 4096):
        taken[page] = 1
    return taken

def share(mib):
    shared = mmap.mmap(-1, mib << 20)
    for page in range(0, mib << 20, 4096):
        shared[page] = 1
    return shared

def children(number, work):
    for child in range(number):
        if os.fork() == 0:
            os.setsid()
            kept = work()
            time.sleep(100)
"""

OVER = {
    "alone": "a = take(200); time.sleep(100)",
    "in children": "children(4, lambda: take(50)); time.sleep(100)",
    "shared": "a = share(200); time.sleep(100)",
}


@pytest.mark.parametrize("code", OVER.values(), ids=OVER)
def test_a_pod_over_its_memory_limit_is_killed_whole(tmp_path: Path, code: str) -> None:
    process, uid = _start(tmp_path, FILL + code, memory=100 * MIB)
    end = process.wait()
    assert end
    assert (end.exit_code, end.signal, end.out_of_memory, end.orphaned) == (137, 9, True, False)
    assert marked(uid) == set()
    assert "MiB, its limit is 100.0 MiB" in (tmp_path / "log").read_text()


def test_a_pod_within_its_memory_limit_is_left_alone(tmp_path: Path) -> None:
    process, _ = _start(tmp_path, FILL + "a = take(60); time.sleep(0.5)", memory=100 * MIB)
    end = process.wait()
    assert end
    assert (end.exit_code, end.out_of_memory) == (0, False)


def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    code = """
private, shared = take(60), share(60)
children(4, lambda: [sum(private[page] + shared[page] for page in range(0, 60 << 20, 4096))])
time.sleep(1)
print("shared", flush=True)
more = take(100)
time.sleep(100)
"""
    process, _ = _start(tmp_path, FILL + code, memory=210 * MIB)
    end = process.wait()
    assert end
    assert (tmp_path / "log").read_text().startswith("shared\n"), "killed for what counts once"
    assert end.out_of_memory


def test_pages_of_files_do_not_count(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with data.open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(MIB))
    code = """
file = open("data", "rb")
data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
total = sum(data[page] for page in range(0, len(data), 4096))
rss = dict(line.split(":") for line in open("/proc/self/status") if line.startswith("Rss"))
print(int(rss["RssFile"].split()[0]) >> 10, flush=True)
time.sleep(0.5)
"""
    end = _start(tmp_path, FILL + code, memory=100 * MIB)[0].wait()
    assert end
    if end.out_of_memory and not (tmp_path / "log").read_text()[0].isdigit():
        pytest.skip("the folder of this test lies in memory itself")
    assert int((tmp_path / "log").read_text()) >= 200
    assert (end.exit_code, end.out_of_memory) == (0, False)


def test_an_end_is_written_when_the_disk_has_room_again(tmp_path: Path) -> None:
    process = Process(
        ["true"], environment={"PATH": os.environ["PATH"]}, folder=tmp_path, log=tmp_path / "log",
        end=tmp_path / "later/exit.json",
    )  # fmt: skip
    threading.Timer(0.5, (tmp_path / "later").mkdir).start()
    end = process.wait()
    assert end
    assert end.exit_code == 0


def test_an_end_that_can_never_be_written_is_unknown(tmp_path: Path) -> None:
    process = Process(
        ["true"], environment={"PATH": os.environ["PATH"]}, folder=tmp_path, log=tmp_path / "log",
        end=tmp_path / "never/exit.json",
    )  # fmt: skip
    threading.Timer(0.5, process.kill).start()
    assert process.wait() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"exitCode": "x"})])
def test_a_torn_record_of_an_end_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "exit.json"
    assert End.read(path) is None
    path.write_text(text)
    assert End.read(path) is None
