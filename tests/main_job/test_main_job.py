"""Real pods on this machine: DeepSpeed, TRL, PEFT and lm-eval under the real reconciler."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from cupola_api.artifact import verify

pytestmark = [
    pytest.mark.local,
    pytest.mark.timeout(900),
]

CHAIN = [
    ("Dataset", "python-functions"),
    ("PretrainJob", "python-base"),
    ("FineTune", "python-writer"),
    ("Evaluation", "python-exam"),
]


@pytest.mark.parametrize(("kind", "name"), CHAIN)
def test_each_resource_succeeds_with_a_verified_artifact(
    undisturbed: Any, kind: str, name: str
) -> None:
    status = undisturbed.get(kind, name)["status"]
    assert status["phase"] == "Succeeded"
    manifest, artifact = verify(undisturbed.artifact(kind, name))
    assert artifact.digest == status["artifact"]["digest"]
    assert manifest.run == status["run"]["digest"]


def test_every_digest_leads_back_to_the_source(undisturbed: Any) -> None:
    made = {name: undisturbed.get(kind, name)["status"] for kind, name in CHAIN}
    for name, status in made.items():
        for origin in status["lineage"]:
            if origin["kind"] != "Source":
                assert origin["digest"] == made[origin["name"]]["artifact"]["digest"], name
    assert [o["kind"] for o in made["python-functions"]["lineage"]] == ["Source"]


def test_money_is_device_time_at_the_pools_price(undisturbed: Any) -> None:
    for kind, name in CHAIN:
        cost = undisturbed.get(kind, name)["status"]["cost"]
        assert Decimal(cost["accrued"]) > 0
        assert abs(
            Decimal(cost["accrued"]) - Decimal(cost["gpuHours"]) * Decimal("0.05")
        ) < Decimal("0.00001")
        causes = {name: Decimal(part) for name, part in cost["causes"].items()}
        assert sum(causes.values()) == Decimal(cost["accrued"])
        assert causes["lostWork"] == 0
        trains = kind in ("PretrainJob", "FineTune")
        assert causes["startUp"] > 0 or kind == "Dataset"  # whose pods may start within a second
        assert (causes["evaluation"] > 0) == trains


def test_training_learned_more_than_token_frequencies(undisturbed: Any) -> None:
    model = undisturbed.get("PretrainJob", "python-base")["status"]["model"]
    assert model["validationLoss"] < model["unigramEntropy"]


def test_scores_stand_beside_chance_and_the_base_model(undisturbed: Any) -> None:
    scores = {
        (s["task"], s["metric"]): s
        for s in undisturbed.get("Evaluation", "python-exam")["status"]["scores"]
    }
    answers = scores["answers", "perplexity"]
    assert answers["value"] < answers["comparedTo"]
    assert answers["standardError"] > 0
    assert scores["mmlu-dev", "acc"]["chance"] == 0.25
    assert 0 <= scores["functions", "share"]["value"] <= 1


def test_running_again_repeats_nothing(undisturbed: Any) -> None:
    before = [undisturbed.get(kind, name)["status"] for kind, name in CHAIN]
    code, output = undisturbed.run()
    assert code == 0, output
    assert [undisturbed.get(kind, name)["status"] for kind, name in CHAIN] == before


def test_a_prompt_is_answered_and_a_report_is_written(undisturbed: Any, tmp_path: Path) -> None:
    workdir = ["--workdir", str(undisturbed.workdir)]
    answer = subprocess.run(
        undisturbed.command(
            "generate", "python-writer", "Return x.", "--max-new-tokens", "8", *workdir
        ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    page = tmp_path / "report.html"
    done = subprocess.run(
        undisturbed.command("report", "python-exam", "-o", str(page), *workdir),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.count("<svg") >= 3
    for kind, name in CHAIN:
        digest = undisturbed.get(kind, name)["status"]["artifact"]["digest"]
        assert digest.removeprefix("sha256:")[:12] in text


def test_the_dataset_is_the_same_for_any_number_of_slots(
    undisturbed: Any, make_job: Callable[..., Any]
) -> None:
    digests = {undisturbed.get("Dataset", "python-functions")["status"]["artifact"]["digest"]}
    for slots in ("1", "4"):
        job = make_job(1)
        code, output = job.run("--slots", slots)
        assert code == 0, output
        digests.add(job.get("Dataset", "python-functions")["status"]["artifact"]["digest"])
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tokns": "2M"}, ["1.yaml", "spec.tokns", "did you mean 'tokens'"]),
        ({"tokens": "2 million"}, ["1.yaml", "spec.tokens", "K, M, B or T"]),
        ({"datasets": [{"name": "nothing"}]}, ["1.yaml", "spec.datasets[0].name", "nothing"]),
    ],
)
def test_bad_input_is_one_sentence_and_starts_nothing(
    make_job: Callable[..., Any], change: dict[str, Any], words: list[str]
) -> None:
    job = make_job(2)
    path = job.files / "1.yaml"
    value = yaml.safe_load(path.read_text())
    value["spec"] |= change
    path.write_text(yaml.safe_dump(value))
    code, output = job.run()
    assert code == 2
    assert "Traceback" not in output
    assert len(output.strip().splitlines()) == 1
    assert all(word in output for word in words), output
    assert not list(job.workdir.glob("pods/*"))
