"""Four resources, applied with kubectl: a trained, tuned, measured model, the same as on a laptop."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .conftest import resources, small
from .harness import Bucket, Object, Space, model, prometheus, until

STEPS = 150
KINDS = {
    "dset": "python-functions",
    "ptj": "python-base",
    "ft": "python-writer",
    "eval": "python-exam",
}


@pytest.fixture(scope="module")
def chain(make_space: Callable[[str], Space]) -> tuple[Space, dict[str, Object]]:
    """The quickstart in small, finished."""
    space = make_space("quickstart")
    space.apply(*resources(STEPS))
    return space, {
        kind: space.wait(kind, name, "Succeeded", timeout=600) for kind, name in KINDS.items()
    }


@pytest.fixture(scope="module")
def on_a_laptop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directory of the same trainings, run on this machine."""
    folder = tmp_path_factory.mktemp("laptop")
    workdir, files = folder / "work", folder / "files"
    small.data(workdir / "store")
    files.mkdir()
    for number, value in enumerate(resources(STEPS)[:3]):
        (files / f"{number}.yaml").write_text(yaml.safe_dump(value))
    values = yaml.safe_load((Path(__file__).parent / "values.yaml").read_text())["settings"]
    pool = {k: v for k, v in values["pools"][0].items() if k != "cpuPerGpu"}
    store = (workdir / "store").as_uri()
    settings = {"store": store, "dataPool": "cpu", "pools": [pool]}
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    ran = subprocess.run(
        [
            *(Path(sys.executable).with_name("cupola"), "run", "-f", files, "--workdir", workdir),
            *("--settings", folder / "settings.yaml", "--slots", "2"),
        ],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    assert ran.returncode == 0, ran.stdout
    return workdir


def test_all_four_end_succeeded(chain: tuple[Space, dict[str, Object]]) -> None:
    space, status = chain
    for kind, name in KINDS.items():
        true = {c["type"] for c in status[kind]["conditions"] if c["status"] == "True"}
        assert true == {"Ready", "Succeeded"}
        assert [a["outcome"] for a in status[kind]["attempts"]][-1] == "Succeeded"
        space.run("wait", "--for=condition=Succeeded", f"{kind}/{name}", "--timeout=5s")
    assert status["eval"]["scores"]


def test_the_models_are_those_of_a_laptop_byte_for_byte(
    chain: tuple[Space, dict[str, Object]], bucket: Bucket, on_a_laptop: Path
) -> None:
    _, status = chain
    for kind, folder in (("ptj", "pretrainjob"), ("ft", "finetune")):
        found = [
            path
            for path in on_a_laptop.glob(f"store/default/{folder}/**/model.safetensors")
            if (path.parent / "manifest.json").is_file() and "checkpoint" not in str(path)
        ]
        assert len(found) == 1, found
        assert found[0].read_bytes() == model(bucket, status[kind])


def test_two_pods_trained_it(chain: tuple[Space, dict[str, Object]]) -> None:
    _, status = chain
    assert len(status["ptj"]["attempts"][-1]["pods"]) == 2


def test_prometheus_says_what_status_says(chain: tuple[Space, dict[str, Object]]) -> None:
    space, status = chain
    for kind, name in (("PretrainJob", "python-base"), ("Dataset", "python-functions")):
        labels = f'namespace="{space.name}",kind="{kind}",name="{name}"'
        query = f"cupola_run_cost_accrued{{{labels}}}"
        found = until(query, lambda q=query: prometheus(q), timeout=60)
        cost = float(status["ptj" if kind == "PretrainJob" else "dset"]["cost"]["accrued"])
        assert list(found.values()) == [pytest.approx(cost, rel=1e-3)]


def test_columns_and_events_tell_the_story(chain: tuple[Space, dict[str, Object]]) -> None:
    space, status = chain
    table = space.run("get", "dset,ptj,ft,eval")
    for name in KINDS.values():
        row = next(line for line in table.splitlines() if name in line)
        assert "Succeeded" in row
        assert "Completed" in row
    told = space.run("describe", "ptj", "python-base")
    assert "Completed" in told
    assert status["ptj"]["artifact"]["uri"] in told
    reasons = space.events("python-base")
    assert reasons.index("Training") < reasons.index("Completed")
