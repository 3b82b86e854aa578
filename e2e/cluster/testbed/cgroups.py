"""The cluster's own cgroup: made before the start, removed with everything below it at the end."""

import time
from contextlib import suppress
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")


def folders(name: str) -> list[Path]:
    """The cgroup in each hierarchy: one of version 2, or one for each controller of version 1."""
    if (MOUNT / "cgroup.controllers").exists():
        return [MOUNT / name]
    parts = [path for path in MOUNT.iterdir() if path.is_dir() and not path.is_symlink()]
    return sorted(path / name for path in parts if (path / "cgroup.procs").exists())


def create(name: str) -> None:
    """Make it; version 2 must hand its controllers down to it as well."""
    for folder in folders(name):
        if folder.parent == MOUNT:
            wanted = (MOUNT / "cgroup.controllers").read_text().split()
            for controller in wanted:
                with suppress(OSError):  # kubelet names those that it misses
                    (MOUNT / "cgroup.subtree_control").write_text(f"+{controller}")
        folder.mkdir(exist_ok=True)


def controllers(name: str) -> set[str]:
    """Those that it has: told by the cgroup itself in version 2, by the hierarchies in version 1."""
    [first, *_] = made = [folder for folder in folders(name) if folder.exists()] or [MOUNT]
    told = first / "cgroup.controllers"
    if told.exists():
        return set(told.read_text().split())
    return {one for folder in made for one in folder.parent.name.split(",")}


def remove(name: str, timeout: float = 20.0) -> list[Path]:
    """Remove it and return what is still there after `timeout` seconds.

    A cgroup goes only when its last process is gone, which the kernel finishes in its own time.
    """
    deadline = time.monotonic() + timeout
    while True:
        left = [folder for folder in folders(name) if folder.exists()]
        for folder in left:
            inner = [path for path in folder.rglob("*") if path.is_dir()]
            for path in [*sorted(inner, key=lambda path: -len(path.parts)), folder]:
                with suppress(OSError):
                    path.rmdir()
        left = [folder for folder in left if folder.exists()]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)
