from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cupola_operator.cli import app
from cupola_operator.plan.speed.timing import CPU

LAPTOP = {
    "store": "file:///s",
    "dataPool": "laptop",
    "pools": [
        {
            "name": "laptop",
            "device": "Cpu",
            "gpusPerNode": 2,
            "pricePerGpuHour": "0.05",
            "gpuWatts": 15,
        }
    ],
}


def plan(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["plan", *map(str, arguments)])


def value(*arguments: str | Path) -> Any:
    result = plan(*arguments, "-o", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def workdir(tmp_path: Path, trained: Any) -> Path:
    """Four trainings on a laptop that is slower than the planner believes."""
    folder = tmp_path / "work"
    for number, (layers, step) in enumerate([(2, 0.20), (4, 0.30), (4, 0.34), (6, 0.42)]):
        trained(folder, f"run-{number}", layers=layers, step=step)
    return folder


def test_finished_runs_say_how_fast_their_pool_is(workdir: Path) -> None:
    (pool,) = value("--calibrate", "--workdir", workdir)["pools"]
    assert pool["name"] == "laptop"
    assert [run["name"] for run in pool["runs"]] == [f"default/run-{i}" for i in range(4)]
    for run in pool["runs"]:
        ratio = run["measuredSeconds"] / run["rooflineSeconds"]
        assert run["friction"] == pytest.approx(ratio, rel=1e-3)
    fitted = pool["friction"]
    assert fitted["low"] < fitted["expected"] < fitted["high"]
    assert pool["usual"] == {"low": CPU.low, "expected": CPU.expected, "high": CPU.high}


def test_the_fit_predicts_runs_that_were_left_out_better(workdir: Path) -> None:
    (pool,) = value("--calibrate", "--workdir", workdir)["pools"]
    check = pool["leaveOneOut"]
    assert check["medianError"] < check["usualMedianError"] / 2
    assert check["inRange"] == 4


def test_what_is_printed_for_the_settings_makes_plans_slower(workdir: Path, tmp_path: Path) -> None:
    printed = plan("--calibrate", "--workdir", workdir)
    assert printed.exit_code == 0
    assert "Each run predicted from the others" in printed.stdout
    assert "nothing was changed" in printed.stdout
    text = printed.stdout[printed.stdout.index("pools:") :]
    found = yaml.safe_load(text)["pools"][0]
    assert found["friction"]["runs"] == 4
    assert plan("--calibrate", "--workdir", workdir, "-o", "yaml").stdout == text
    usual, own = tmp_path / "usual.yaml", tmp_path / "own.yaml"
    usual.write_text(yaml.safe_dump(LAPTOP))
    pool = LAPTOP["pools"][0] | found
    own.write_text(yaml.safe_dump(LAPTOP | {"pools": [pool]}))
    asked = ("--size", "2M", "--tokens", "2M", "--gpus", "2", "--precision", "FP32")
    before = value(*asked, "--settings", usual)["stepSeconds"]
    after = value(*asked, "--settings", own)["stepSeconds"]
    times = found["friction"]["expected"] / CPU.expected
    assert after["expected"] == pytest.approx(before["expected"] * times, rel=1e-3)
    said = value(*asked, "--settings", own)["assumptions"]
    assert any("as the pool's own runs did" in one for one in said)


def test_a_list_of_kubectl_serves_as_well(workdir: Path, tmp_path: Path) -> None:
    paths = sorted((workdir / "objects").glob("*/*/*.yaml"))
    items = [yaml.safe_load(path.read_text()) for path in paths]
    listed = tmp_path / "runs.json"
    listed.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    there = value("--calibrate", "--runs", listed)
    assert there == value("--calibrate", "--workdir", workdir)


def test_one_run_is_not_enough_to_check_the_fit(tmp_path: Path, trained: Any) -> None:
    trained(tmp_path, "only", step=0.3)
    said = plan("--calibrate", "--workdir", tmp_path).stdout
    assert "One run is not much: with two the fit can be checked." in said
    assert value("--calibrate", "--workdir", tmp_path)["pools"][0]["leaveOneOut"] is None


def test_what_says_nothing_is_said(workdir: Path, trained: Any) -> None:
    trained(workdir, "unmeasured")
    trained(workdir, "unresolved", step=1.0)
    (workdir / "objects/ConfigMap/default/unresolved-ptj-r1.yaml").unlink()
    said = " ".join(plan("--calibrate", "--workdir", workdir).stdout.split())
    assert "PretrainJob/unmeasured says nothing: the time of its steps was not measured" in said
    assert "PretrainJob/unresolved says nothing: the ConfigMap of its run is not at hand" in said


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--pool", "other"), 1, "no finished PretrainJob on pool other to learn from"),
        (("--runs", "missing.yaml"), 2, "missing.yaml: cannot be read"),
        (("-o", "html"), 2, "--calibrate prints a table, json or yaml"),
        (("--size", "7B"), 2, "--calibrate looks at finished runs, and --size says something else"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    workdir: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    result = plan("--calibrate", "--workdir", workdir, *arguments)
    assert result.exit_code == code
    assert sentence in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "is neither YAML nor JSON"),
        ("- a\n- b\n", "holds no Kubernetes objects"),
        ("items: 5\n", "holds no Kubernetes objects"),
        ("kind: List\nitems: [{kind: Pod}]\n", "holds no Kubernetes objects"),
    ],
)
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "runs.yaml"
    path.write_text(text)
    result = plan("--calibrate", "--runs", path)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_nothing_finished_says_so(tmp_path: Path) -> None:
    assert "does not exist" in plan("--calibrate", "--workdir", tmp_path / "none").stderr
    assert "--calibrate" in plan("--runs", "x.yaml").stderr
