"""What tests of charts/ and manifests/ share: the programs, and the objects that they render."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from cupola_api.kinds import KINDS

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "cupola"

Object = dict[str, Any]
Render = Callable[..., list[Object]]

STORE = {"settings": {"store": "s3://bucket/prefix"}}
"""The one value that has no default."""


def program(name: str) -> Path | None:
    """A program of the test cluster's cache (see e2e/cluster/binaries), or one on PATH."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cupola"
    cached = sorted(cache.glob("bin-*"), key=lambda folder: folder.stat().st_mtime, reverse=True)
    found = next((folder / name for folder in cached if (folder / name).is_file()), None)
    path = shutil.which(name)
    return found or (Path(path) if path else None)


def needed(name: str) -> Path:
    """The program of that name; skips the test if it is not there."""
    found = program(name)
    if found is None:
        pytest.skip(f"there is no {name}: neither on PATH nor built by e2e/cluster/binaries")
    return found


def run(*command: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """A program that has ended, its output as text."""
    words = [str(word) for word in command]
    return subprocess.run(
        words, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )


def said(*command: object, stdin: str | None = None) -> str:
    """What a program prints. Raises AssertionError if it fails."""
    done = run(*command, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


class _Loader(yaml.CSafeLoader):
    """Reads 1e-08 as Go does: as a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^-?[0-9]+e[-+]?[0-9]+$"), list("-0123456789")
)


def objects(text: str) -> list[Object]:
    """The objects of a YAML stream."""
    return [value for value in yaml.load_all(text, _Loader) if value]


def only(found: list[Object], kind: str, name: str | None = None) -> Object:
    """The one object of a kind, or of a kind and name."""
    (value,) = (o for o in found if o["kind"] == kind and name in (None, o["metadata"]["name"]))
    return value


def example(page: str, name: str) -> Object:
    """A YAML file that a page of docs/how-to shows: an indented block that begins with its name."""
    text = (ROOT / "docs" / "how-to" / page).read_text()
    (block,) = re.findall(rf"^    # {re.escape(name)}\n((?:    .*\n)+)", text, re.MULTILINE)
    value = yaml.safe_load("\n".join(line[4:] for line in block.splitlines()))
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="session")
def kustomize() -> Callable[[Path], list[Object]]:
    """What `kubectl kustomize` makes of a folder."""
    kubectl = Path(sys.executable).with_name("kubectl")
    return lambda folder: objects(said(kubectl, "kustomize", folder))


@pytest.fixture(scope="session")
def base(kustomize: Callable[[Path], list[Object]]) -> list[Object]:
    """The objects of manifests/base."""
    return kustomize(ROOT / "manifests" / "base")


@pytest.fixture(scope="session")
def helm() -> Path:
    return needed("helm")


@pytest.fixture
def template(helm: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`helm template` with values; as run."""

    def render(
        values: Object | None = None, release: str = "cupola", *more: str
    ) -> subprocess.CompletedProcess[str]:
        return run(
            *(helm, "template", release, CHART, "--namespace", "cupola-system"),
            *("--kube-version", "1.34.0", "--values", "-", *more),
            stdin=yaml.safe_dump(values or {}),
        )

    return render


@pytest.fixture
def chart(template: Callable[..., subprocess.CompletedProcess[str]]) -> Render:
    """The objects of the chart with these values, and a store."""

    def render(values: Object | None = None, release: str = "cupola", *more: str) -> list[Object]:
        whole = {**(values or {})}
        whole["settings"] = STORE["settings"] | whole.get("settings", {})
        done = template(whole, release, *more)
        assert done.returncode == 0, done.stderr
        return objects(done.stdout)

    return render


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """An API server with the CRDs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tests"))
        apiserver = import_module("kube.apiserver")
    programs = apiserver.binaries()
    if programs is None:
        pytest.skip("there are no etcd and kube-apiserver: e2e/cluster/binaries builds them")
    with apiserver.running(programs) as running:
        running.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        running.kubectl(
            *("wait", "--for=condition=Established", "--timeout=30s", "crd"),
            *(f"{kind.plural}.cupola.dev" for kind in KINDS.values()),
        )
        for namespace in ("cupola-system", "team-a", "team-b"):
            running.kubectl("create", "namespace", namespace)
        yield running
