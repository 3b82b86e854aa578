"""Cupola, installed in a cluster as a user would do it. `make e2e` starts both."""

from __future__ import annotations

import importlib.util
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .harness import ROOT, SECRET, Bucket, Object, Space, apply, kubectl, model

SYSTEM = "cupola-system"
SESSION = secrets.token_hex(3)


def pytest_sessionfinish() -> None:
    """Take down the cluster that e2e/run started: pytest's summary is then the last thing said."""
    if os.environ.get("CUPOLA_E2E_DOWN"):
        subprocess.run([ROOT / "e2e/cluster/down"], check=False, timeout=300)


def load(path: Path) -> ModuleType:
    """A module of the local tests."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look there for it
    spec.loader.exec_module(module)
    return module


small = load(ROOT / "tests/main_job/small.py")
"""The quickstart in small, which the local tests run too."""


@pytest.fixture(scope="session")
def helm() -> Callable[..., str]:
    """Helm upgrade --install with the test cluster's values, and more arguments."""
    folder = subprocess.run(
        [ROOT / "e2e/cluster/binaries", "helm"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=1800,
    ).stdout.strip()

    def install(*more: str) -> str:
        ran = subprocess.run(
            [
                *(Path(folder) / "helm", "upgrade", "--install", "cupola", ROOT / "charts/cupola"),
                *(
                    "--namespace",
                    SYSTEM,
                    "--create-namespace",
                    "--values",
                    ROOT / "e2e/values.yaml",
                ),
                # In a cluster that is used again the operator starts anew, from the image of now.
                *("--set-string", f"operator.podAnnotations.example\\.com/session={SESSION}"),
                *("--wait", "--timeout", "180s", *more),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert ran.returncode == 0, ran.stderr + kubectl("-n", SYSTEM, "describe", "pods")[-6000:]
        return ran.stdout

    return install


@pytest.fixture(scope="session")
def cupola(helm: Callable[..., str]) -> Callable[..., str]:
    """Cupola is there; call it to change the installation."""
    helm()
    return helm


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    """The store, with the quickstart's data."""
    folder = tmp_path_factory.mktemp("data")
    small.data(folder)
    bucket = Bucket()
    bucket.upload(folder, "store")
    return bucket


@pytest.fixture(scope="session")
def make_space(cupola: Callable[..., str], bucket: Bucket) -> Iterator[Callable[[str], Space]]:
    """Makes namespaces in which runs reach the bucket. A cluster may be used again: they are new ones."""
    made = set()

    def make(purpose: str) -> Space:
        name = f"{purpose}-{SESSION}"
        made.add(name)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": labels},
            },
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": SECRET, "namespace": name},
                "stringData": {
                    key: os.environ[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
                },
            },
        )
        return Space(name)

    yield make
    if made and "CUPOLA_E2E_DOWN" not in os.environ:
        kubectl("delete", "namespace", "--wait=false", *sorted(made))


def resources(steps: int) -> list[Object]:
    """The quickstart in small, its trainings on two pods of one rank."""
    values: list[Object] = small.resources(steps)
    for value in values[1:3]:
        value["spec"]["parallelism"] = {"nodes": 2, "gpusPerNode": 1}
        value["spec"]["pools"] = ["cpu"]
    return values


@pytest.fixture(scope="session")
def space(make_space: Callable[[str], Space]) -> Space:
    """A namespace with a finished Dataset, which the trainings of many tests read."""
    made = make_space("runs")
    made.apply(resources(1)[0])
    made.wait("dset", "python-functions", "Succeeded", timeout=400)
    return made


STEPS = 200
"""Of the small twin: long enough to be disturbed, short enough to be repeated."""


@pytest.fixture(scope="session")
def training() -> Callable[..., Object]:
    """Makes the small twin of the quickstart's PretrainJob, under a name, its spec changed."""

    def make(name: str, **spec: Any) -> Object:
        value = resources(STEPS)[1]
        value["metadata"] = {"name": name}
        value["spec"] |= spec
        return value

    return make


@pytest.fixture(scope="session")
def reference(space: Space, training: Callable[..., Object], bucket: Bucket) -> bytes:
    """The model of a run that nothing disturbed."""
    began = time.monotonic()
    space.apply(training("quiet"))
    status = space.wait("ptj", "quiet", "Succeeded")
    print(f"the small twin took {time.monotonic() - began:.0f} s")
    assert [attempt["outcome"] for attempt in status["attempts"]] == ["Succeeded"]
    return model(bucket, status)
