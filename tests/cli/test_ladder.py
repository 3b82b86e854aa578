from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cupola_operator.cli import app
from cupola_operator.plan import answers
from cupola_operator.plan.answers.loss import Law

LAW = Law(e=1.6, a=200.0, b=900.0, alpha=0.3478, beta=0.3658)
JOB = {
    "apiVersion": "cupola.dev/v1alpha1",
    "kind": "PretrainJob",
    "metadata": {"name": "large"},
    "spec": {
        "datasets": [{"name": "web"}],
        "model": {"size": "40M", "context": 256},
        "tokensPerParameter": 20,
    },
}


def cupola(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def ladder(*arguments: str | Path) -> Result:
    return cupola("ladder", *arguments)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "large.yaml"
    path.write_text(yaml.safe_dump(JOB))
    return path


def finish(folder: Path, trained: Any, sizes: list[int], ratios: list[int]) -> None:
    """The rungs of a ladder, as if they had been trained on data that has that law."""
    dice = random.Random(2)
    for size in sizes:
        for ratio in ratios:
            loss = LAW.loss(size, size * ratio) * math.exp(dice.gauss(0, 0.002))
            trained(
                folder,
                f"large-{size // 1000}k-{ratio}",
                parameters=size,
                tokens=size * ratio,
                loss=loss,
                labels={"cupola.dev/ladder": "large"},
            )


def test_a_ladder_is_planned_and_written_to_be_run(job: Path, tmp_path: Path) -> None:
    shown = ladder("-f", job, "--share", "0.2", "--sizes", "2")
    assert shown.exit_code == 0, shown.stderr
    text = " ".join(shown.stdout.split())
    assert "Ladder large: 6 small trainings" in text
    assert "of what large takes" in text
    written = ladder("-f", job, "--share", "0.2", "--sizes", "2", "-o", "yaml").stdout
    rungs = tmp_path / "ladder.yaml"
    rungs.write_text(written)
    manifests = list(yaml.safe_load_all(written))
    assert len(manifests) == 6
    assert {one["metadata"]["labels"]["cupola.dev/ladder"] for one in manifests} == {"large"}
    planned = cupola("plan", "-f", rungs, "-o", "json")
    assert planned.exit_code == 0, planned.stderr
    document = json.loads(ladder("-f", job, "--share", "0.2", "--sizes", "2", "-o", "json").stdout)
    assert document["share"] <= 0.2
    whole = json.loads(planned.stdout)["total"]["gpuHours"]["expected"]
    assert document["total"]["gpuHours"]["expected"] == pytest.approx(whole)
    # the same file with its rungs beside it is still about the large one
    assert ladder("-f", job, "-f", rungs, "--share", "0.2", "--sizes", "2").exit_code == 0


def test_finished_trainings_foretell_the_large_one(job: Path, tmp_path: Path, trained: Any) -> None:
    folder = tmp_path / "work"
    finish(folder, trained, [500_000, 1_000_000, 2_000_000], [10, 40])
    trained(folder, "another", loss=9.0)
    shown = ladder("-f", job, "--fit", "--workdir", folder)
    assert shown.exit_code == 0, shown.stderr
    text = " ".join(shown.stdout.split())
    assert "fitted to 6 runs" in text
    assert "too few runs to fit all five constants" in text
    assert "The published law says" in text
    assert "Best split of the same compute" in text
    law = tmp_path / "law.yaml"
    law.write_text(ladder("-f", job, "--fit", "--workdir", folder, "-o", "yaml").stdout)
    planned = cupola("plan", "-f", job, "--law", law, "-o", "json")
    assert planned.exit_code == 0, planned.stderr
    found = json.loads(planned.stdout)
    truth = LAW.loss(found["parameters"], found["tokens"])
    assert found["loss"]["low"] < truth < found["loss"]["high"]
    assert found["loss"]["expected"] == pytest.approx(truth, rel=0.02)
    assert f"loss {found['loss']['expected']:.3f} (" in text
    assert any("the law of the ladder large" in note for note in found["notes"])
    assert any("exponents of that law are the published ones" in note for note in found["notes"])


def test_a_law_serves_plans_without_a_file(job: Path, tmp_path: Path, trained: Any) -> None:
    finish(tmp_path, trained, [500_000, 1_000_000], [10, 40])
    law = tmp_path / "law.yaml"
    law.write_text(ladder("-f", job, "--fit", "--workdir", tmp_path, "-o", "json").stdout)
    asked = (
        "plan",
        "--size",
        "40M",
        "--tokens",
        "800M",
        "--gpu",
        "a100",
        "--gpus",
        "1",
        "-o",
        "json",
    )
    own = json.loads(cupola(*asked, "--law", law).stdout)
    assert own["loss"]["expected"] != json.loads(cupola(*asked).stdout)["loss"]["expected"]


def test_too_few_finished_trainings_are_refused(job: Path, tmp_path: Path, trained: Any) -> None:
    finish(tmp_path, trained, [500_000], [10, 20, 40])
    result = ladder("-f", job, "--fit", "--workdir", tmp_path)
    assert result.exit_code == 1
    assert "3 finished runs with 1 sizes and 3 ratios" in result.stderr


def test_without_scipy_the_remedy_is_said(
    job: Path, tmp_path: Path, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path, "any")
    monkeypatch.delitem(sys.modules, "cupola_operator.plan.answers.scaling", raising=False)
    monkeypatch.delattr(answers, "scaling", raising=False)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    monkeypatch.setitem(sys.modules, "scipy", None)
    result = ladder("-f", job, "--fit", "--workdir", tmp_path)
    assert result.exit_code == 1
    assert "install cupola-operator[ladder]" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--share", "0"), 2, "--share: must be more than 0"),
        (("--sizes", "9"), 2, "--sizes: must be 2 to 8"),
        (("--target", "other"), 2, "the files hold no PretrainJob other; they hold large"),
        (("--pool", "gold"), 2, "there is no pool 'gold'"),
        (("--share", "0.00001"), 1, "write a larger --share, or fewer --sizes"),
        (("--fit", "--workdir", "nowhere"), 1, "nowhere does not exist"),
        (("--fit", "--runs", "nowhere.yaml"), 2, "nowhere.yaml: cannot be read"),
        (("--settings", "nowhere.yaml"), 2, "nowhere.yaml"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    job: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    result = ladder("-f", job, *arguments)
    assert result.exit_code == code, result.output
    assert sentence in " ".join(result.stderr.split())


def test_of_several_trainings_one_must_be_named(job: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(JOB | {"metadata": {"name": "second"}}))
    said = ladder("-f", job, "-f", other).stderr
    assert "say which PretrainJob the ladder is for; the files hold large, second" in said
    chosen = ladder("-f", job, "-f", other, "--target", "second", "--sizes", "2", "--share", "0.2")
    assert "Ladder second" in chosen.stdout


@pytest.mark.parametrize("text", ["", "a: [", "kind: ScalingLaw\n", "kind: Pod\nname: x\n"])
def test_a_file_that_holds_no_law_is_refused(job: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "law.yaml"
    path.write_text(text)
    result = cupola("plan", "-f", job, "--law", path)
    assert result.exit_code == 2
    assert "holds no scaling law; write one with cupola ladder --fit" in result.stderr
