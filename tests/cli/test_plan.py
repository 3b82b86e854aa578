from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cupola_api.base import Rule, holds
from cupola_operator.cli import app
from cupola_operator.plan.speed import catalogue

# the first use of CEL raises the recursion limit, which hypothesis must not see in the middle of a test
holds(Rule("true", ""))

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "manifests/examples/quickstart"
SIZED = ("--size", "1B", "--tokens", "20B", "--gpu", "a100-80g", "--gpus", "8")

POOL = {
    "name": "a100",
    "device": "Gpu",
    "gpu": "a100-80g",
    "gpusPerNode": 8,
    "nodes": 16,
    "pricePerGpuHour": "1.50",
    "gpuWatts": 400,
}
JOB = {
    "apiVersion": "cupola.dev/v1alpha1",
    "kind": "PretrainJob",
    "metadata": {"name": "base"},
    "spec": {"datasets": [{"name": "web"}], "model": {"size": "1B"}},
}


def plan(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["plan", *map(str, arguments)])


def value(*arguments: str | Path) -> Any:
    result = plan(*arguments, "-o", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def write(path: Path, *documents: Any) -> Path:
    path.write_text(yaml.safe_dump_all(documents))
    return path


def settings(folder: Path, **pool: Any) -> Path:
    first = POOL | pool
    whole = {"store": "file:///s", "dataPool": first["name"], "pools": [first]}
    return write(folder / "settings.yaml", whole)


def sentence(*arguments: str | Path, code: int = 2) -> str:
    """The one sentence that a bad input is answered with."""
    result = plan(*arguments)
    assert result.exit_code == code, result.output
    assert not result.stdout
    (said,) = result.stderr.splitlines()
    assert "Traceback" not in said
    return said


def test_a_size_is_planned_without_a_file() -> None:
    found = value(*SIZED)
    assert found["parameters"] == pytest.approx(1e9, rel=0.05)
    assert found["gpus"] == 8
    assert found["fits"] is True
    assert found["cost"]["currency"] == "USD"
    degrees = found["parallelism"]
    assert degrees["data"] * degrees["tensor"] * degrees["pipeline"] * degrees["sequence"] == 8
    assert found["memoryPerGpu"]["total"] <= found["gpuMemory"]


def test_the_quickstart_is_planned_whole() -> None:
    found = value("-f", QUICKSTART)
    assert [one["kind"] for one in found["items"]] == [
        "Dataset",
        "PretrainJob",
        "FineTune",
        "Evaluation",
    ]
    assert all(one["fits"] for one in found["items"])
    assert found["total"]["cost"]["expected"] > 0


def test_money_is_hours_times_price_and_twice_of_it_at_twice_the_price(tmp_path: Path) -> None:
    file = write(tmp_path / "job.yaml", JOB)
    once = value("-f", file, "--settings", settings(tmp_path))
    twice = value("-f", file, "--settings", settings(tmp_path, pricePerGpuHour="3.00"))
    assert once["cost"]["expected"] == pytest.approx(once["gpuHours"]["expected"] * 1.5, rel=1e-4)
    assert twice["cost"]["expected"] == pytest.approx(2 * once["cost"]["expected"], rel=1e-4)
    assert twice["gpuHours"] == once["gpuHours"]


def test_the_price_of_a_command_line_replaces_the_known_one() -> None:
    found = value(*SIZED, "--price", "2")
    assert found["cost"]["expected"] == pytest.approx(2 * found["gpuHours"]["expected"], rel=1e-4)
    assert found["costReserved"] is None


def test_a_gpu_without_a_price_is_planned_without_money() -> None:
    unpriced = next(
        one.name for one in catalogue.gpus() if catalogue.typical(one.name).price.on_demand is None
    )
    found = value("--size", "100M", "--tokens", "2B", "--gpu", unpriced, "--gpus", "8")
    assert found["cost"] is None
    assert found["gpuHours"]["expected"] > 0
    assert any("has no price, so the plan goes without money" in note for note in found["notes"])


def test_a_budget_buys_the_best_model() -> None:
    found = value("--budget", "5000", "--gpu", "a100-80g", "--price", "1.5", "--gpus", "64")
    assert found["kind"] == "Budget"
    assert found["cost"]["expected"] == pytest.approx(5000, rel=0.01)
    losses = [one["loss"]["expected"] for one in found["options"]]
    (chosen,) = [one["loss"]["expected"] for one in found["options"] if one["chosen"]]
    assert chosen <= min(losses) + 0.002


def test_a_status_in_the_work_directory_says_how_many_tokens_there_are(workdir: Path) -> None:
    found = value("-f", QUICKSTART, "--workdir", workdir)
    pretraining = next(one for one in found["items"] if one["kind"] == "PretrainJob")
    assert pretraining["data"]["unknown"] == []
    assert pretraining["data"]["epochs"]["python-functions"] > 0


def test_yaml_and_json_say_the_same() -> None:
    result = plan(*SIZED, "-o", "yaml")
    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout) == value(*SIZED)


def test_the_table_has_the_ranges_and_what_is_taken_for_granted() -> None:
    result = plan(*SIZED)
    assert result.exit_code == 0
    for words in ("Low", "Expected", "High", "GPU hours", "Memory of a GPU", "Taken for granted"):
        assert words in result.stdout


def test_the_page_needs_nothing_else_and_has_its_plots() -> None:
    result = plan(*SIZED, "-o", "html")
    assert result.exit_code == 0
    assert result.stdout.startswith("<!doctype html>")
    assert "<script" not in result.stdout
    assert "http://" not in result.stdout
    assert "https://" not in result.stdout
    for title in ("Memory", "Cost against size", "Loss against money"):
        assert f"<title>{title}</title>" in result.stdout


def test_the_same_question_has_the_same_answer() -> None:
    assert plan(*SIZED, "-o", "html").stdout == plan(*SIZED, "-o", "html").stdout


def test_what_does_not_fit_is_printed_and_is_exit_code_1(tmp_path: Path) -> None:
    large = JOB | {"spec": JOB["spec"] | {"model": {"size": "70B"}}}  # type: ignore[operator]
    result = plan("-f", write(tmp_path / "job.yaml", large), "--settings", settings(tmp_path))
    assert result.exit_code == 1
    assert "does not fit" in result.stdout


@pytest.mark.parametrize(
    ("spec", "pool", "said"),
    [
        ({"budget": {"maxCost": "10"}}, {}, "it does not start without spec.admission: Ignore"),
        ({"budget": {"maxCost": "350"}}, {}, "may be less than the run costs"),
        ({"deadline": "1h"}, {}, "spec.deadline is 1h, and on pool a100 the run takes"),
        ({"budget": {"maxCost": "10"}}, {"pricePerGpuHour": None}, "cannot be held to spec.budget"),
        ({"budget": {"maxCost": "1000000"}}, {}, None),
        (
            {},
            {"prices": [{"from": "2020-01-01T00:00:00Z", "pricePerGpuHour": "0"}]},
            None,
        ),
    ],
)
def test_limits_that_the_run_may_not_keep_are_said(
    tmp_path: Path, spec: dict[str, Any], pool: dict[str, Any], said: str | None
) -> None:
    job = JOB | {"spec": JOB["spec"] | spec}  # type: ignore[operator]
    found = value("-f", write(tmp_path / "job.yaml", job), "--settings", settings(tmp_path, **pool))
    notes = [note for note in found["notes"] if "spec." in note and "checkpoint" not in note]
    assert len(notes) == (said is not None)
    assert said is None or said in notes[0]
    if "prices" in pool:
        assert found["cost"]["high"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--size", "7X"),
            "--size: '7X' is no count; write a number with an optional K, M, B or T",
        ),
        (("--size", ""), "--size: '' is no count"),
        (("--size", "7B", "--price", ""), "--price: '' is no amount"),
        (("--size", "0"), "--size: must be 1 or more, not 0"),
        (("--size", "7B", "--tokens", "0"), "--tokens: must be 1 or more, not 0"),
        (("--size", "7B", "--tokens", "-3"), "--tokens: '-3' is no count"),
        (("--size", "7B", "--gpus", "0"), "--gpus: must be 1 to 1,000,000, not 0"),
        (("--size", "7B", "--gpus", "-8"), "--gpus: must be 1 to 1,000,000, not -8"),
        (
            ("--size", "7B", "--gpus", "1.5"),
            "--gpus: '1.5' is no whole number; write one from 1 to 1,000,000",
        ),
        (("--size", "7B", "--gpus", ""), "--gpus: '' is no whole number"),
        (("--size", "7B", "--gpus", "9" * 5000), "--gpus: must be 1 to 1,000,000, not 9"),
        (("--size", "7B", "--context", "4K"), "--context: '4K' is no whole number"),
        (("--size", "7B", "--vocabulary", "x"), "--vocabulary: 'x' is no whole number"),
        (
            ("--size", "7B", "--precision", "BF17"),
            "--precision: 'BF17' is not known; write BF16 or FP32",
        ),
        (
            ("--size", "7B", "--output", "xml"),
            "--output: 'xml' is not known; write table, json, yaml or html",
        ),
        (("--generate", "1B", "--size", "7B", "--answer", "1.5"), "--answer: '1.5' is no whole"),
        (("--generate", "1B", "--size", "7B", "--prompt", "x"), "--prompt: 'x' is no whole"),
        (("--size", "7B", "--context", "0"), "--context: must be 1 to"),
        (("--size", "7B", "--price", "0"), "--price: must be more than 0"),
        (("--size", "7B", "--price", "cheap"), "--price: 'cheap' is no amount"),
        (("--size", "7B", "--gpu", "a100-80gb-x"), "a100-80g"),
        (("--size", "7B", "--gpu", "zx81"), "no GPU 'zx81'; it has"),
        (
            ("--size", "7B", "--pool", "lapto"),
            "there is no pool 'lapto' in the settings; did you mean laptop?",
        ),
        (("--size", "7B", "--pool", "a", "--gpu", "h100"), "--gpu names a GPU of the catalogue"),
        (("--size", "1000T"), "write size"),
        (
            ("--budget", "150000 EUR"),
            "prices are in USD, and the budget is in EUR; write it in USD",
        ),
        (("--budget", "lots"), "--budget: 'lots' is no amount"),
        (("--budget", "0"), "--budget: must be more than 0"),
        (("--budget", "150000", "--tokens", "1B"), "leave one of them out"),
        ((), "say what to plan: -f FILE, or --size 7B, or --budget 150000"),
        (("--tokens", "1B"), "say what to plan"),
        (("--generate", "1X", "--size", "7B"), "--generate: '1X' is no count"),
        (("--generate", "0", "--size", "7B"), "--generate: must be 1 or more, not 0"),
        (
            ("--generate", "1B"),
            "--generate: say how large the model that writes is, with --size 7B",
        ),
        (("--generate", "1B", "--size", "7B", "--answer", "0"), "--answer: must be 1 to"),
        (("--generate", "1B", "--size", "7B", "--prompt", "-1"), "--prompt: must be 1 to"),
        (("--generate", "1B", "--size", "7B", "--answer", "4000"), "say a longer --context"),
        (
            ("--generate", "1B", "--size", "7B", "--price-per-million", "0.2"),
            "--price-per-million: '0.2' is not two prices",
        ),
        (
            ("--generate", "1B", "--size", "7B", "--price-per-million", "0.2,free"),
            "--price-per-million: 'free' is no amount",
        ),
        (
            ("--generate", "1B", "--size", "7B", "--tokens", "1B"),
            "and --tokens says something else",
        ),
        (("--generate", "1B", "-f", QUICKSTART), "and -f says something else"),
        (
            ("--size", "7B", "--answer", "100"),
            "--answer is about synthetic text; say --generate 1B",
        ),
        (("--calibrate", "--generate", "1B"), "and --generate says something else; leave it out"),
        (("-f", QUICKSTART, "--size", "7B"), "-f plans what the files ask for, and --size says"),
        (("-f", QUICKSTART, "--gpus", "4", "--price", "2"), "--gpus and --price say"),
        (("-f", QUICKSTART, "--pool", "nowhere"), "there is no pool 'nowhere' in the settings"),
        (("-f", "/nowhere.yaml"), "cannot be read: No such file or directory; correct the path"),
        (("--size", "7B", "--settings", "/nowhere.yaml"), "cannot be read"),
    ],
)
def test_bad_input_is_answered_in_one_sentence(
    arguments: tuple[str | Path, ...], said: str
) -> None:
    assert said in sentence(*arguments)


def test_a_budget_may_name_its_currency_and_group_its_digits() -> None:
    found = value("--budget", "5,000 usd", "--gpu", "a100-80g", "--gpus", "64")
    assert found["name"].startswith("5,000")


GENERATED = ("--generate", "1B", "--size", "7B", "--gpu", "a100-80g", "--gpus", "8")


def test_synthetic_text_is_planned_on_gpus_and_compared_with_an_endpoint() -> None:
    found = value(*GENERATED, "--price-per-million", "0.10,0.40")
    assert found["kind"] == "Generation"
    assert (found["tokens"], found["answers"]) == (10**9, 1_953_125)
    assert found["parallelism"] == {"copies": 8, "tensor": 1, "answersAtOnce": 256}
    assert found["memoryPerGpu"]["total"] <= found["gpuMemory"]
    hours = found["gpuHours"]
    assert 0 < hours["low"] < hours["expected"] < hours["high"]
    assert found["energyKwh"]["expected"] > 0
    endpoint = found["alternatives"][0]
    assert endpoint["what"] == "an endpoint at 0.10 and 0.40 USD a million"
    assert endpoint["cost"]["expected"] == 450
    table = plan(*GENERATED)
    assert table.exit_code == 0
    assert "8 copies of the model" in table.stdout


def test_synthetic_text_on_a_pool_has_no_money_where_the_pool_has_no_price(tmp_path: Path) -> None:
    chosen = settings(tmp_path, pricePerGpuHour=None)
    found = value("--generate", "10M", "--size", "1B", "--pool", "a100", "--settings", chosen)
    assert (found["pool"], found["gpus"], found["cost"]) == ("a100", 1, None)


def test_the_page_of_synthetic_text_is_written_and_yaml_says_what_json_says() -> None:
    result = plan(*GENERATED, "-o", "html")
    assert result.exit_code == 0
    assert "8 copies of the model" in result.stdout
    assert yaml.safe_load(plan(*GENERATED, "-o", "yaml").stdout) == value(*GENERATED)


def test_a_plan_without_a_file_says_what_synthetic_text_would_cost() -> None:
    for arguments in (SIZED, ("--budget", "500", "--gpu", "a100-80g", "--gpus", "8")):
        said = [note for note in value(*arguments)["notes"] if "a billion synthetic" in note]
        assert len(said) == 1
        assert "USD; cupola plan --generate 1B --size" in said[0]


def test_text_by_a_model_that_no_node_holds_is_exit_code_1() -> None:
    said = sentence("--generate", "1B", "--size", "405B", "--gpu", "a100-80g", code=1)
    assert said.startswith("no copy of the model fits")


def test_what_is_too_large_for_the_gpus_is_exit_code_1() -> None:
    said = sentence("--size", "405B", "--gpu", "a100-80g", "--gpus", "8", code=1)
    assert said.startswith("no layout fits")


def test_money_that_buys_nothing_is_exit_code_1() -> None:
    said = sentence("--budget", "0.01", "--size", "70B", "--gpus", "8", code=1)
    assert "do not train a model of 70B parameters" in said


def test_a_job_that_names_no_pool_of_the_settings_is_said_with_its_line(tmp_path: Path) -> None:
    job = JOB | {"spec": JOB["spec"] | {"pools": ["h100"]}}  # type: ignore[operator]
    file = write(tmp_path / "job.yaml", job)
    said = sentence("-f", file, "--settings", settings(tmp_path))
    assert said.startswith(f"{file}:1 PretrainJob/base: ")
    assert "there is no pool 'h100'" in said


def test_an_impossible_shape_is_said_with_its_line(tmp_path: Path) -> None:
    shape = {"shape": {"layers": 2, "hidden": 100, "heads": 3}}
    job = JOB | {"spec": JOB["spec"] | {"model": shape}}  # type: ignore[operator]
    assert (
        "must be a multiple of shape.heads" in plan("-f", write(tmp_path / "job.yaml", job)).stderr
    )


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert sentence("-f", file) == f"{file}: is not UTF-8 text; save it as UTF-8"


def test_a_gpu_that_is_not_named_is_the_guides_and_it_is_said() -> None:
    found = value("--size", "100M", "--gpus", "8")
    assert found["gpu"] == "a100-80g"
    assert found["notes"][0].startswith("no GPU was named")


def test_a_pool_of_the_settings_is_compared_with_the_others(tmp_path: Path) -> None:
    pools = [POOL, POOL | {"name": "dear", "pricePerGpuHour": "3.00"}]
    file = write(
        tmp_path / "settings.yaml", {"store": "file:///s", "dataPool": "a100", "pools": pools}
    )
    found = value("--size", "1B", "--gpus", "8", "--settings", file)
    assert found["pool"] == "a100"
    (other,) = [one for one in found["alternatives"] if "(dear)" in one["what"]]
    assert other["reason"].startswith("2.00 times the cost")


def test_a_pool_gives_no_more_gpus_than_it_has(tmp_path: Path) -> None:
    said = sentence("--size", "1B", "--gpus", "256", "--settings", settings(tmp_path))
    assert said == "a100 has 128 devices, and 256 are asked for; say 128 at most"


def test_a_pool_whose_gpu_nobody_knows_is_said_and_does_not_spoil_the_others(
    tmp_path: Path,
) -> None:
    strange = {key: value for key, value in POOL.items() if key != "gpu"} | {"name": "strange"}
    file = write(
        tmp_path / "settings.yaml",
        {"store": "file:///s", "dataPool": "a100", "pools": [POOL, strange]},
    )
    arguments = ("--size", "1B", "--gpus", "8", "--settings", file)
    assert value(*arguments, "--pool", "a100")["pool"] == "a100"
    assert "write gpu: in the settings" in sentence(*arguments, "--pool", "strange")


def test_the_help_shows_the_ways_to_ask() -> None:
    text = plan("--help").stdout
    for example in ("-f", "--size 7B", "--budget", "--generate 1B"):
        assert f"cupola plan {example}" in text
