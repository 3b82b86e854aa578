"""Starts clusters in folders of their own, and sees what is left of them."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

CLUSTER = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CLUSTER))  # the package is no part of an installation

from testbed import cgroups, control  # noqa: E402
from testbed.layout import State  # noqa: E402

BUILDER = "/var/lib/containers/"
"""Mounts below it are those of an image builder that may be at work."""

SETTINGS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")
SETTINGS += ("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "net/ipv4/ip_forward")


def seen():
    """What a cluster could change on this machine."""
    own = Path("/proc/self")
    rules = subprocess.run(
        ["nft", "list", "ruleset"], capture_output=True, text=True, check=True, timeout=30
    )
    return {
        "mounts": sorted(
            line for line in (own / "mounts").read_text().splitlines() if BUILDER not in line
        ),
        "devices": sorted(re.findall(r"^\s*(\S+):", (own / "net/dev").read_text(), re.MULTILINE)),
        "routes": (own / "net/route").read_text(),
        "rules": rules.stdout,
        "settings": {name: Path("/proc/sys", name).read_text() for name in SETTINGS},
        "host name": os.uname().nodename,
        "folders": {
            name: sorted(Path(name).iterdir()) for name in ("/run", "/var/lib", "/var/log")
        },
    }


def namespaces_of(process):
    """The names of its mount, network and process namespaces."""
    return {
        os.fspath(Path(f"/proc/{process}/ns", kind).readlink()) for kind in ("mnt", "net", "pid")
    }


def inhabitants(namespaces):
    """Processes that are in any of these namespaces."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if namespaces_of(process.name) & namespaces:
                found.add(int(process.name))
        except OSError:
            continue  # it has ended
    return found


class Run:
    """`up` in a folder of its own, and what it takes to see that it is gone."""

    def __init__(self, folder):
        self.state = State(folder / "cluster")
        self.before = seen()
        up = [CLUSTER / "up", "--state", self.state.folder, "--without-kueue"]
        self.process = subprocess.Popen(
            ["env", "--default-signal=INT", *up],  # whoever started the tests may ignore it
            stderr=subprocess.PIPE,
            text=True,
        )
        self.namespaces = set()

    def wait_for_processes(self):
        """Until the supervisor runs, and kubelet under it."""
        deadline = time.monotonic() + 120
        while not self.namespaces or not any(self.state.logs.glob("kubelet.log")):
            assert time.monotonic() < deadline
            assert self.process.poll() is None, self.process.stderr.read()
            try:
                pid = control.supervisor(self.state)
            except control.NotRunning:
                time.sleep(0.05)
                continue
            self.namespaces = namespaces_of(pid) - namespaces_of("self")
            time.sleep(0.05)
        assert len(self.namespaces) == 3
        assert inhabitants(self.namespaces)

    def end(self, number=None):
        """Wait for `up`, after a signal to it."""
        if number is not None:
            self.process.send_signal(number)
        _, told = self.process.communicate(timeout=300)
        return self.process.returncode, told

    def down(self):
        """`make cluster-down`."""
        subprocess.run(
            [CLUSTER / "down", "--state", self.state.folder],
            check=True,
            timeout=120,
            capture_output=True,
        )

    def assert_nobody_is_left(self):
        """The kernel ends a namespace's processes in its own time, but within seconds."""
        deadline = time.monotonic() + 30
        while left := inhabitants(self.namespaces):
            assert time.monotonic() < deadline, left
            time.sleep(0.05)

    def assert_nothing_is_left(self):
        assert not inhabitants(self.namespaces)
        assert not self.state.folder.exists()
        assert not [folder for folder in cgroups.folders(self.state.cgroup) if folder.exists()]
        assert seen() == self.before


@pytest.fixture(scope="session")
def launch():
    """Start `up` in a folder."""
    if os.geteuid() != 0:
        pytest.skip("a cluster needs root")
    return Run


@pytest.fixture
def run(launch, tmp_path):
    made = launch(tmp_path)
    yield made
    made.process.kill()
    made.process.communicate(timeout=60)
    made.down()
