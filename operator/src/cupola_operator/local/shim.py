"""PID 1 of a pod: starts its program, and sees to it that nothing of it is left over.

Run as `python -I -S shim.py EXIT_JSON COMMAND...` with the standard library alone, so that it starts
in milliseconds. Standard input is a pipe whose other end the shell holds:

- SIGTERM to the shim goes on to the program. The shell starts the shim with SIGTERM blocked, and
  both shim and program let it in when they are ready, so that an early one is late, not lost.
- End of file on the pipe means kill now: the shell closed it, or the shell is dead.
- When the program has ended, and only when all that it started has ended too, EXIT_JSON appears:
  exitCode (128 + signal as shells and Kubernetes count), signal, finishedAt (Unix time), orphaned
  (killed through the pipe), oomKills (processes that the kernel killed for memory meanwhile, on the
  whole machine). Whoever finds the file knows that no process of the pod is alive.

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
        os.write(2, f"{command[0]} cannot be started: {error.strerror}\n".encode())
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


def _supervise(program: int, wake: int) -> tuple[int | None, bool]:
    """Wait for the program's end or the pipe's; (wait status or None, whether the pipe ended)."""
    poller = select.poll()
    poller.register(wake, select.POLLIN)
    poller.register(_PIPE, select.POLLIN | select.POLLHUP)
    while True:
        ready = {fd for fd, _ in poller.poll()}
        signals = os.read(wake, 512) if wake in ready else b""
        status = _reap(program)
        if status is not None:
            return status, False
        if signal.SIGTERM in signals:
            os.kill(program, signal.SIGTERM)
        if _PIPE in ready:
            return None, True


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


def main(exit_json: str, command: list[str]) -> int:
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
    status, orphaned = _supervise(program, wake)
    finished = time.time()
    killed = _kill_rest(program)
    code = os.waitstatus_to_exitcode(killed or 0 if status is None else status)
    exit_code = code if code >= 0 else 128 - code
    end = {
        "exitCode": exit_code,
        "signal": -code if code < 0 else None,
        "finishedAt": finished,
        "orphaned": orphaned,
        "oomKills": _oom_kills() - oom_kills,
    }
    temporary = f"{exit_json}.tmp"
    with open(temporary, "w") as file:  # noqa: PTH123
        json.dump(end, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, exit_json)  # noqa: PTH105
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
