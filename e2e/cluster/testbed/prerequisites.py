"""Programs that the cluster needs: built from source, from the Python environment, from Debian."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from testbed.components import PROGRAMS
from testbed.layout import ROOT

PLUGINS = Path("/usr/lib/cni/ptp")
DEBIAN = {
    "busybox": "busybox-static",
    "containerd": "containerd",
    "ip": "iproute2",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "runc": "runc",
    str(PLUGINS): "containernetworking-plugins",
}
"""Program -> package that has it, in Debian and Ubuntu."""


def install() -> None:
    """Install the missing packages; exit with a sentence where that is not possible."""
    if os.geteuid() != 0:
        sys.exit("a cluster needs namespaces, mounts and cgroups: run as root (sudo make ...)")
    packages = missing()
    if not packages:
        return
    if shutil.which("apt-get") is None:
        sys.exit(f"install what these Debian packages have: {', '.join(packages)}")
    # RUNLEVEL=1: packages with a service (prometheus, containerd) do not start it here.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        ran = subprocess.run(
            ["apt-get", "--quiet", *command],
            env=quiet,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if ran.returncode:
            told = ran.stderr.strip() or ran.stdout.strip()
            sys.exit(f"apt-get {command[0]} failed; install {', '.join(packages)}:\n{told}")


def missing() -> list[str]:
    """Debian packages whose programs are not here."""
    lacking = {package for program, package in DEBIAN.items() if shutil.which(program) is None}
    busybox = shutil.which("busybox")
    if busybox and b"ld-linux" in Path(busybox).read_bytes()[:4096]:  # alone in an image it fails
        lacking.add(DEBIAN["busybox"])
    return sorted(lacking)


def binaries() -> Path:
    """Build what is missing (minutes, the first time) and return the folder of the programs."""
    ran = subprocess.run(
        [sys.executable, ROOT / "e2e/cluster/binaries"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ran.returncode:
        sys.exit(ran.returncode)
    return Path(ran.stdout.strip())


def programs(built: Path) -> dict[str, str]:
    """Name -> path of each program that the supervisor starts, and of busybox."""
    here = Path(sys.executable).parent
    found = {}
    for name in PROGRAMS:
        places = [built / name, here / name, Path(shutil.which(name) or "/nowhere")]
        path = next((place for place in places if place.exists()), None)
        if path is None:
            sys.exit(f"{name} is missing; run: make setup")
        found[name] = str(path.resolve())
    return found


def kubectl() -> str:
    """The client of the Python environment."""
    return str(Path(sys.executable).parent / "kubectl")
