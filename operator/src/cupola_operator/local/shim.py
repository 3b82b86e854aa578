"""PID 1 of a pod: starts its program, and sees to it that nothing of it is left over.

Run as `python -I -S shim.py EXIT_JSON MEMORY COMMAND...` with the standard library alone, so that it
starts in milliseconds. MEMORY is the pod's limit in bytes, 0 for none. Standard input is a pipe
whose other end the shell holds:

- SIGTERM to the shim goes on to the program. The shell starts the shim with SIGTERM blocked, and
  both shim and program let it in when they are ready, so that an early one is late, not lost.
- End of file on the pipe means kill now: the shell closed it, or the shell is dead.
- When the pod holds more memory than its limit, all of it is killed.
- When the program has ended, and only when all that it started has ended too, EXIT_JSON appears:
  exitCode (128 + signal as shells and Kubernetes count), signal, finishedAt (Unix time), orphaned
  (killed through the pipe), outOfMemory (killed for its limit), oomKills (processes that the kernel
  killed for memory meanwhile, on the whole machine). Whoever finds the file knows that no process
  of the pod is alive.

Memory is what a control group would hold against the pod and cannot take back: anonymous pages and
shared memory, a page of several processes counted once. Pages of files do not count, or every
memory-mapped data set would. Not seen, unlike there: files in /dev/shm that nobody maps, and the
kernel's own memory.

Killing a process group would not do: torchrun gives its workers sessions of their own. The shim is
a child subreaper (prctl(2)), so that every descendant stays in the tree below it.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PIPE = 0

_LOOKS = 3
"""Times in a row that a pod must be over its limit: while a process starts another one, both may
seem to hold the same memory."""

_FILL_RATE = 4 * 2**30
"""Bytes a second that a program takes at most, roughly: how soon a limit can be reached."""

_SHORTEST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_LOOKING_SHARE = 0.05
"""Part of a CPU that looking at memory takes at most."""


def children_of(pids: set[int]) -> set[int]:
    """The processes (zombies too) below `pids`, from one look at /proc."""
    parents = {}
    for name in os.listdir("/proc"):  # noqa: PTH208  pathlib would triple the start-up time
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    # The name in parentheses may itself hold spaces and parentheses.
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
    found: set[int] = set()
    level = set(pids)
    while level:
        level = {pid for pid, parent in parents.items() if parent in level} - found
        found |= level
    return found


def _oom_kills() -> int:
    """Processes that the kernel killed for want of memory since boot."""
    try:
        with open("/proc/vmstat", "rb") as file:  # noqa: PTH123
            for line in file:
                if line.startswith(b"oom_kill "):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def _kilobytes(path: str, *fields: bytes) -> int:
    """The sum of fields of a file of /proc that counts in kB, in bytes. Raises OSError."""
    with open(path, "rb") as file:  # noqa: PTH123
        lines = (line.split() for line in file)
        found = [int(words[1]) for words in lines if words[0] in fields]
    if len(found) < len(fields):
        raise OSError  # a process that has ended, or a kernel that does not tell
    return sum(found) * 1024


def _resident(pid: int) -> int:
    """Memory of a process, shared pages in full: cheap, an upper bound. 0 if it has ended."""
    try:
        return _kilobytes(f"/proc/{pid}/status", b"RssAnon:", b"RssShmem:")
    except OSError:
        return 0


def _proportional(pid: int) -> int:
    """Memory of a process, its share of shared pages: the kernel looks at each page for it."""
    try:
        return _kilobytes(f"/proc/{pid}/smaps_rollup", b"Pss_Anon:", b"Pss_Shmem:")
    except OSError:
        return _resident(pid)


def _memory(limit: int) -> int:
    """Memory of everything below the shim, bytes; only an upper bound where that is in the limit."""
    pids = children_of({os.getpid()})
    bound = sum(map(_resident, pids))
    return bound if bound <= limit else sum(map(_proportional, pids))


def _lowest_memory(limit: int) -> int:
    """The lowest of some looks at the memory, or the first that is in the limit."""
    lowest = _memory(limit)
    for _ in range(_LOOKS - 1):
        if lowest <= limit:
            break
        time.sleep(0.01)
        lowest = min(lowest, _memory(limit))
    return lowest


def _start(command: list[str], libc: ctypes.CDLL) -> int:
    """Fork and execute the program in a session of its own; returns its pid."""
    shim = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != shim:
            os.kill(os.getpid(), signal.SIGKILL)
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (
            signal.SIGTERM,
            signal.SIGINT,
            signal.SIGHUP,
            signal.SIGCHLD,
            signal.SIGPIPE,
        ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        _say(f"{command[0]} cannot be started: {error.strerror}")
    finally:
        os._exit(127)


def _reap(program: int) -> int | None:
    """Collect ended children; the wait status of the program if it is among them."""
    status = None
    while True:
        try:
            pid, one = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == program:
            status = one


def _say(text: str) -> None:
    """Print a line to the log of the pod, if the disk has room."""
    try:
        os.write(2, f"{text}\n".encode())
    except OSError:
        return


def _supervise(program: int, wake: int, limit: int) -> tuple[int | None, bool, bool]:
    """Wait for an end: (wait status or None, whether the pipe ended, whether memory was over)."""
    poller = select.poll()
    poller.register(wake, select.POLLIN)
    poller.register(_PIPE, select.POLLIN | select.POLLHUP)
    look_at = time.monotonic() + _SHORTEST_PAUSE
    while True:
        pause = max(0.0, look_at - time.monotonic()) if limit else None
        ready = {fd for fd, _ in poller.poll(None if pause is None else pause * 1000 + 1)}
        signals = os.read(wake, 512) if wake in ready else b""
        status = _reap(program)
        if status is not None:
            return status, False, False
        if signal.SIGTERM in signals:
            os.kill(program, signal.SIGTERM)
        if _PIPE in ready:
            return None, True, False
        if limit and (now := time.monotonic()) >= look_at:
            used = _lowest_memory(limit)
            if used > limit:
                _say(
                    f"killed: it held {used / 2**20:.1f} MiB, its limit is {limit / 2**20:.1f} MiB"
                )
                return None, False, True
            spent = time.monotonic() - now
            pause = min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, (limit - used) / _FILL_RATE))
            look_at = now + max(pause, spent / _LOOKING_SHARE)


def _kill_rest(program: int) -> int | None:
    """SIGKILL every descendant until none is left; the program's wait status if it was collected."""
    status = None
    pause = 0.001
    while rest := children_of({os.getpid()}):
        for pid in rest:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(pause)
        pause = min(0.1, pause * 2)
        one = _reap(program)
        status = status if one is None else one
    return status


def _written(path: str, text: str) -> bool:
    """Write a file so that whoever sees it sees all of it; False if that is not possible now."""
    try:
        with open(f"{path}.tmp", "w") as file:  # noqa: PTH123
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.tmp", path)  # noqa: PTH105
    except OSError:
        return False
    return True


def main(exit_json: str, limit: int, command: list[str]) -> int:
    """Run a pod's program to its end; returns its exit code."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wake, wake_end = os.pipe()
    os.set_blocking(wake_end, False)
    signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    oom_kills = _oom_kills()
    program = _start(command, libc)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    status, orphaned, out_of_memory = _supervise(program, wake, limit)
    finished = time.time()
    killed = _kill_rest(program)
    code = os.waitstatus_to_exitcode(killed or 0 if status is None else status)
    exit_code = code if code >= 0 else 128 - code
    end = {
        "exitCode": exit_code,
        "signal": -code if code < 0 else None,
        "finishedAt": finished,
        "orphaned": orphaned,
        "outOfMemory": out_of_memory,
        "oomKills": _oom_kills() - oom_kills,
    }
    while not _written(exit_json, json.dumps(end)):
        # The disk is full, say. A pod whose end is not told is not over, while its shell lives.
        if select.select([_PIPE], [], [], 1.0)[0]:
            break
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
