"""Programs that the cluster needs: built from source, from the Python environment, from Debian."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
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

IMAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}
"""The same for images/build, where neither docker nor a registry can be counted on."""

RETRIES = (
    "-o",
    "Acquire::Retries=3",
    "-o",
    "Acquire::http::Timeout=30",
    "-o",
    "DPkg::Lock::Timeout=120",
)


def install(programs: Mapping[str, str]) -> bool:
    """Install the missing packages; whether there were any. Exits with a sentence when apt-get fails."""
    packages = missing(programs)
    if not packages:
        return False
    # RUNLEVEL=1: packages with a service (prometheus, containerd) do not start it here.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        ran = subprocess.run(
            ["apt-get", "--quiet", *RETRIES, *command],
            env=quiet,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if ran.returncode:
            told = ran.stderr.strip() or ran.stdout.strip()
            sys.exit(f"apt-get {command[0]} failed; install {', '.join(packages)}:\n{told}")
    return True


def missing(programs: Mapping[str, str]) -> list[str]:
    """Debian packages whose programs are not here."""
    lacking = {package for program, package in programs.items() if shutil.which(program) is None}
    busybox = shutil.which("busybox") if "busybox" in programs else None
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
