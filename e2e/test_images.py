"""The built images, each started as a pod would: its own process 1, user 65532, a read-only root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .harness import ROOT

VERSION = tomllib.loads((ROOT / "operator/pyproject.toml").read_text())["project"]["version"]
STORE = {**os.environ, "STORAGE_DRIVER": "overlay"}
POD = """
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
mount -t tmpfs -o mode=1777 scratch "$0/scratch"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
exec chroot --userspec=65532:65532 --groups=65532 "$0" /usr/bin/env --ignore-environment --chdir=/scratch "$@"
"""
"""A container by hand: $0 is its root, then its environment and its words."""


def buildah(*words: str) -> str:
    ran = subprocess.run(
        ["buildah", *words], env=STORE, capture_output=True, text=True, check=True, timeout=120
    )
    return ran.stdout.strip()


class Image:
    """An image whose files are mounted."""

    def __init__(self, name: str, root: str) -> None:
        self._name = name
        self._root = root

    def _said(self, field: str) -> list[str]:
        text = buildah("inspect", "--type=image", f"--format={field}", self._name)
        return text.splitlines()

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Its entry point with these words, as `args` of a pod."""
        environment = self._said('{{range .OCIv1.Config.Env}}{{.}}{{"\\n"}}{{end}}')
        entry = self._said('{{range .OCIv1.Config.Entrypoint}}{{.}}{{"\\n"}}{{end}}')
        return subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork", "sh", "-ec", POD, self._root),
                *(*environment, *entry, *words),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> str:
        """What it prints; it must succeed."""
        with ended(self.start(*words)) as process:
            output, _ = process.communicate(timeout=180)
        assert process.returncode == 0, output
        return output


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def program_in(pid: int) -> str:
    """The memory map of what the init of a container has started; empty before that."""
    try:
        [init] = children(pid)
        [program] = children(init)
        return Path(f"/proc/{program}/maps").read_text()
    except (OSError, ValueError):
        return ""


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Nothing of it is left: all that it started dies with its process 1."""
    try:
        yield process
    finally:
        if process.poll() is None:
            for first in children(process.pid):
                os.kill(first, signal.SIGKILL)
            process.wait(timeout=30)


@pytest.fixture(scope="module")
def image(request: pytest.FixtureRequest) -> Iterator[Image]:
    if os.geteuid() != 0 or not shutil.which("buildah"):
        pytest.skip("needs root and buildah")
    name = f"localhost/cupola-{request.param}:{VERSION}"
    try:
        buildah("inspect", "--type=image", name)
    except subprocess.CalledProcessError:
        pytest.skip(f"{name} is not in buildah's store; `make images` builds it")
    container = buildah("from", "--pull-never", name)
    try:
        yield Image(name, buildah("mount", container))
    finally:
        buildah("rm", container)


def every(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("image", names, indirect=True)


@every("operator")
def test_the_operator_starts_as_nobody_on_a_read_only_root(image: Image) -> None:
    assert "Usage: python -m cupola_operator" in image.run(
        "python", "-m", "cupola_operator", "--help"
    )


@every("curator", "trainer")
def test_what_runs_in_pods_starts_as_nobody_on_a_read_only_root(image: Image) -> None:
    assert "curate" in image.run("python", "-m", "cupola_trainer", "--help")


@every("operator", "curator", "trainer")
def test_nothing_can_be_written_but_scratch(image: Image) -> None:
    tried = "id -u; for at in / /opt/cupola /tmp $HOME $TMPDIR; do touch $at/file 2>&1; done"
    said = image.run("sh", "-c", f"{tried}; ls /scratch").splitlines()
    assert said[0] == "65532"
    assert [line.split("'")[1] for line in said[1:-1]] == [
        "//file",
        "/opt/cupola/file",
        "/tmp/file",
    ]
    assert said[-1] == "file"


@every("operator", "curator")
def test_an_image_without_torch_has_none(image: Image) -> None:
    find = "import importlib.util as u; print(u.find_spec('torch'), u.find_spec('pip'))"
    assert image.run("python", "-c", find).split() == ["None", "None"]


@every("trainer")
def test_all_that_a_training_imports_can_be_imported(image: Image) -> None:
    modules = "pretrain", "finetune.train", "evaluate"
    wanted = ", ".join(f"cupola_trainer.{module}" for module in modules)
    assert "found" in image.run("python", "-c", f"import {wanted}; print('found')")


@every("trainer")
def test_a_compiler_is_there_for_the_kernels_of_triton(image: Image) -> None:
    include = "import sysconfig as s; print(s.get_paths(scheme='posix_prefix')['include'])"
    code = 'echo "#include <Python.h>" >stub.c && gcc -shared -fPIC -I"$0" stub.c -o stub.so'
    image.run("sh", "-c", code, image.run("python", "-c", include).strip())


@every("trainer")
def test_sigterm_ends_torchrun_while_it_imports(image: Image) -> None:
    """Without an init it is process 1, has no handlers yet, and waits for SIGKILL."""
    with ended(image.start("python", "-m", "torch.distributed.run", "--help")) as process:
        while "python" not in program_in(process.pid):
            assert process.poll() is None
            time.sleep(0.01)
        [init] = children(process.pid)
        os.kill(init, signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, output
    assert "usage" not in output
