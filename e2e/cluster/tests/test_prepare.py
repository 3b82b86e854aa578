"""A machine that cannot host a cluster is told so in one sentence, before anything is changed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PREPARE = Path(__file__).resolve().parents[1] / "prepare"


def check(*within, **changed):
    """`prepare --check`, started by other commands, with a changed environment."""
    return subprocess.run(
        [*within, PREPARE, "--check"],
        env=os.environ | changed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def mounted(script):
    """Commands that start others in a mount namespace which a script has changed."""
    return "unshare", "--mount", "sh", "-ec", f'{script}; exec "$0" "$@"'


def path_with(folder, *programs):
    """A PATH on which there are these alone."""
    for name in programs:
        (folder / name).symlink_to(shutil.which(name))
    return str(folder)


def test_a_machine_on_which_clusters_run_lacks_nothing():
    told = check()
    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize(
    ("within", "sentence"),
    [
        (("unshare", "--user"), "run as root"),
        (
            ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"),
            "does not let a cluster have namespaces of its own: unshare: ",
        ),
        (
            mounted("mount -t tmpfs none /sys/fs/cgroup"),
            "lack the controllers cpu, cpuset, memory, pids",
        ),
        (
            mounted(
                "cut -d ' ' -f 2 /proc/mounts | grep ^/sys/fs/cgroup"
                " | while read at; do mount -o remount,bind,ro $at; done"
            ),
            "no cgroup can be made here: ",
        ),
    ],
)
def test_what_the_machine_does_not_allow_is_named(within, sentence):
    told = check(*within)
    assert told.returncode == 1
    assert sentence in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_a_machine_without_go_is_told_which_one(tmp_path):
    told = check(PATH=path_with(tmp_path, "dirname", "sh", "apt-get"))
    assert told.returncode == 1
    assert "install Go 1.26 and put it on PATH" in told.stderr


def test_a_machine_without_apt_is_told_the_packages(tmp_path):
    told = check(PATH=path_with(tmp_path, "dirname", "sh", "go"))
    assert told.returncode == 1
    assert told.stderr.startswith("there is no apt-get; install what these Debian packages have: ")
    assert "containerd" in told.stderr


def test_a_full_disk_is_named(tmp_path):
    small = mounted(f"mount -t tmpfs -o size=1m none {tmp_path}")
    told = check(*small, CUPOLA_CLUSTER=str(tmp_path))
    assert told.returncode == 1
    assert told.stderr == f"the disk of {tmp_path} has 0 GB free of the 40 GB that are needed\n"
