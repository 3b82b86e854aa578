"""What the supervisor does first, inside its new namespaces: file systems and network.

All of it is undone by the kernel when the last process of the namespaces is gone.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from testbed.configs import CUT
from testbed.layout import INSIDE, NODE, NODE_IP, SERVICES, TOOLS, VOLUMES

TUNABLES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""Settings of the whole machine that kubelet would write: it is shown files that have them already."""

FOLDERS = ("audit", "etcd", "log", "prometheus", "s3", "sysctl", "tmp", "var-lib")


def prepare(state: Path, programs: Mapping[str, str]) -> None:
    """Mount the state folder and the programs at their places, and set up the network."""
    _mounts(state, programs)
    _network()


def _mounts(state: Path, programs: Mapping[str, str]) -> None:
    """/run, /tmp, /var/lib and /var/log become the cluster's own: the host's stay as they are."""
    for name in FOLDERS:
        (state / name).mkdir(exist_ok=True)
    (state / "tmp").chmod(0o1777)
    for number in range(VOLUMES):
        volume = state / "volumes" / str(number)
        volume.mkdir(parents=True, exist_ok=True)
        volume.chmod(0o777)
    # Open files lead to what a mount is about to hide.
    handles = {name: os.open(path, os.O_PATH) for name, path in programs.items()}
    folder = os.open(state, os.O_PATH)
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "run", "/run")
    INSIDE.mkdir()
    _bind(f"/proc/1/fd/{folder}", INSIDE)
    TOOLS.mkdir()
    for name, handle in handles.items():
        (TOOLS / name).touch()
        _bind(f"/proc/1/fd/{handle}", TOOLS / name)
        os.close(handle)
    os.close(folder)
    for name, value in TUNABLES.items():
        shown = INSIDE / "sysctl" / name.replace("/", ".")
        shown.write_text(f"{value}\n")
        _bind(shown, Path("/proc/sys") / name)
    for point in _mounted_below("/var/lib/", Path("/proc/self/mountinfo").read_text()):
        _run("umount", "--lazy", point)  # here only: an image builder's mounts must not be held
    _bind(INSIDE / "var-lib", Path("/var/lib"))
    _bind(INSIDE / "log", Path("/var/log"))
    _bind(INSIDE / "tmp", Path("/tmp"))


def _mounted_below(folder: str, mountinfo: str) -> list[str]:
    """Mount points below a folder, the innermost first."""
    escaped = (line.split()[4] for line in mountinfo.splitlines())  # a blank is \040
    points = {point.encode().decode("unicode_escape") for point in escaped}
    return sorted((point for point in points if point.startswith(folder)), reverse=True)


def _network() -> None:
    """The node's address and the Services' range on the loopback device; no way out."""
    _run("hostname", NODE)
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{NODE_IP}/32", "dev", "lo")
    _run("ip", "route", "add", SERVICES, "dev", "lo", "src", NODE_IP)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    _run("nft", "-f", "-", text=CUT)


def _bind(source: str | Path, target: Path) -> None:
    _run("mount", "--bind", str(source), str(target))


def _run(*command: str, text: str = "") -> None:
    ran = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=30, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"`{' '.join(command)}` failed: {ran.stderr.strip()}")
