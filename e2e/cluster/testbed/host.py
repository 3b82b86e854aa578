"""Whether this machine can host a cluster; nothing is changed to find out."""

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from testbed import cgroups, prerequisites
from testbed.layout import ROOT

NAMESPACES = (
    "--mount",
    "--net",
    "--pid",
    "--uts",
    "--ipc",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
"""Arguments of unshare: the namespaces in which a cluster lives."""

TRIAL = """
mount -t tmpfs trial /tmp
mkdir /tmp/lower /tmp/upper /tmp/work /tmp/all
mount -t overlay trial -o lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work /tmp/all
echo 1 >/proc/sys/net/ipv4/ip_forward
if command -v ip; then ip link add trial0 type veth peer name trial1; fi
if command -v nft; then nft add table inet trial; fi
"""
"""What a cluster does first in them, each in small; the first that fails is named."""

CONTROLLERS = {"cpu", "cpuset", "memory", "pids"}
"""Of cgroups: those that kubelet cannot do without."""


def lacking(packages: Mapping[str, str]) -> str:
    """What this machine lacks, in one sentence; empty if nothing does. Packages can be installed."""
    return _system() or _packages(packages) or _go() or _cgroups() or _namespaces()


def room(folder: Path, needed: int) -> str:
    """The same about the disk of a folder (which may not be there yet), and the GB needed on it."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free // 10**9
    if free < needed:
        return f"the disk of {there} has {free} GB free of the {needed} GB that are needed"
    return ""


def _system() -> str:
    if sys.platform != "linux":
        return f"a cluster needs Linux, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "a cluster needs namespaces, mounts and cgroups: run as root (sudo make ...)"
    return ""


def _packages(packages: Mapping[str, str]) -> str:
    missing = prerequisites.missing(packages)
    if missing and shutil.which("apt-get") is None:
        return f"there is no apt-get; install what these Debian packages have: {', '.join(missing)}"
    return ""


def _go() -> str:
    wanted = max(_version(path.read_text()) for path in ROOT.glob("e2e/cluster/go/*/go.mod"))
    install = f"install Go {wanted[0]}.{wanted[1]} and put it on PATH"
    if shutil.which("go") is None:
        return f"the cluster's programs are built from source: {install}"
    told = _run("go", "version")
    if _version(told.stdout) < wanted:
        return f"{told.stdout.strip()} is too old for the cluster's programs: {install}"
    return ""


def _version(text: str) -> tuple[int, int]:
    """Of Go, in the words of `go version` or of a go.mod; (0, 0) if there is none."""
    found = re.search(r"^go (?:version go)?(\d+)\.(\d+)", text, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _namespaces() -> str:
    ran = _run("unshare", *NAMESPACES, "sh", "-ec", TRIAL)
    if ran.returncode:
        told = ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"]
        return f"this machine does not let a cluster have namespaces of its own: {told[-1]}"
    return ""


def _cgroups() -> str:
    name = f"cupola-trial-{secrets.token_hex(4)}"
    try:
        cgroups.create(name)
        missing = CONTROLLERS - cgroups.controllers(name)
    except OSError as error:
        return f"no cgroup can be made here: {error}"
    finally:
        cgroups.remove(name)
    if missing:
        return f"cgroups of this machine lack the controllers {', '.join(sorted(missing))}"
    return ""


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
