from __future__ import annotations

from functools import cache
from pathlib import Path
from statistics import median

import pytest

from cupola_operator.plan.anatomy import parameters
from cupola_operator.plan.speed import calibration, catalogue, published, published_page
from cupola_operator.plan.speed.published import GIVEN, Line
from cupola_operator.plan.speed.published_page import Compared

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "published-runs.md"

ROW = {
    "model": "Thing-1B",
    "parameters": "1.1e9",
    "tokens": "1e11",
    "context": "2048",
    "layers": "22",
    "hidden": "2048",
    "heads": "32",
    "kv_heads": "4",
    "ffn": "5632",
    "vocab": "32000",
    "batch_tokens": "2e6",
    "gpu": "A100-40GB",
    "gpus": "16",
    "parallelism": "",
    "gpu_hours": "1000",
    "source": "nowhere",
}


@cache
def runs() -> Compared:
    return published_page.compared()


@cache
def given() -> list[Line]:
    """The runs of the file exactly as it has them."""
    return published.leave_one_family_out(runs().given, runs().documented)


@cache
def documented() -> list[Line]:
    return published.leave_one_family_out(runs().documented)


def of_the_file(lines: list[Line], *, are: bool) -> list[Line]:
    names = {run.name for run in published.runs(GIVEN)}
    return [line for line in lines if (line.of.run.name in names) is are]


def error(lines: list[Line]) -> float:
    return median(abs(line.error) for line in lines)


def constant_error(lines: list[Line]) -> float:
    return median(abs(line.constant_error) for line in lines)


def test_models_of_the_file_have_the_parameters_that_it_says() -> None:
    rows = {row["model"]: float(row["parameters"]) for row in published.rows(GIVEN)}
    counts = {run.name: parameters.count(run.model).total for run in published.runs(GIVEN)}
    assert counts == pytest.approx(rows, rel=0.005)


def test_the_file_as_given_is_predicted_better_than_by_a_constant_mfu() -> None:
    assert {line.of.run.name: line.of.run.fixed for line in given()} == {
        run.name: run.fixed for run in published.runs(GIVEN, documented=False)
    }
    assert error(given()) <= 0.22
    assert error(given()) < constant_error(given())


@pytest.mark.parametrize("are", [True, False], ids=["the file", "others"])
def test_documented_layouts_predict_much_better_than_a_constant_mfu(are: bool) -> None:
    lines = of_the_file(documented(), are=are)
    assert len(lines) == (11 if are else 19)
    assert error(lines) <= 0.22
    assert error(lines) < 0.7 * constant_error(lines)


def test_the_range_holds_most_runs_and_is_narrow() -> None:
    others = of_the_file(documented(), are=False)
    for several in (given(), others, documented()):
        assert sum(line.held for line in several) >= 0.75 * len(several)
        assert max(line.width for line in several) <= 2.5


def test_the_friction_that_the_planner_uses_is_the_one_that_was_fitted() -> None:
    found = runs().documented
    used, fitted = calibration.friction(), published.of(found, published.recomputing(found)).range
    assert used.ends == pytest.approx(fitted.ends, rel=0.02)
    assert "published-runs.csv" in catalogue.friction().fitted_on


def test_a_family_is_never_fitted_to_itself() -> None:
    line = given()[0]
    others = [one for one in runs().documented if one.run.family != line.of.run.family]
    assert all(not one.run.name.startswith("Llama") for one in others)
    share = published.recomputing(others)
    expected = published.of(others, share).factor * line.of.expected(share)
    assert line.predicted.expected == pytest.approx(expected)


def test_the_page_is_what_the_planner_says_now() -> None:
    assert PAGE.read_text() == published_page.page(runs()), (
        f"run python -m cupola_operator.plan.speed.published_page {PAGE}"
    )


def test_of_every_run_the_page_says_what_was_seen() -> None:
    seen = {row["model"] for row in published.rows("published-seen.csv")}
    names = {run.name for run in published.runs()}
    assert seen == names
    assert {row["model"] for row in published.rows("published-layouts.csv")} <= names


def test_recomputation_that_nobody_reports_widens_the_range_and_lies_between() -> None:
    table = [ROW | {"parallelism": text} for text in ("", "no recompute", "full recompute")]
    unknown, without, full = (published.frictionless(run) for run in published.read(table))
    assert unknown.again == pytest.approx(full.hours / without.hours)
    assert without.hours < unknown.expected(0.5) < full.hours
    assert unknown.expected(1.0) == pytest.approx(full.hours)
    assert unknown.unknown(0.5) > unknown.unknown(0.9) > full.unknown(0.5) == 0


def test_the_share_that_recomputes_counts_families_that_say_it() -> None:
    texts = {"A-1": "full recompute", "A-2": "full recompute", "B-1": "no recompute", "C-1": ""}
    table = [ROW | {"model": name, "parallelism": text} for name, text in texts.items()]
    found = [published.frictionless(run) for run in published.read(table)]
    assert published.recomputing(found) == pytest.approx((1 + 0 + 1) / (2 + 2))
    assert published.recomputing(found[:2]) == pytest.approx(2 / 3)
    assert published.recomputing([]) == 0.5


def test_what_is_known_of_a_layout_is_kept() -> None:
    (run,) = published.read([ROW | {"parallelism": "DP8 TP2 PP1 ZeRO-1 full recompute MBS4"}])
    known = {"data": 8, "tensor": 2, "pipeline": 1, "zero": 1, "checkpointing": "Full"} | {
        "micro_batch": 4
    }
    assert run.fixed == known
    layout = published.frictionless(run).found.layout
    assert {name: getattr(layout, name) for name in known} == known


def test_a_layout_that_ran_is_timed_even_where_cupola_would_need_more_memory() -> None:
    rows = [row for row in published.rows(published.MORE) if row["model"] == "OPT-175B"]
    (run,) = published.read([rows[0] | {"gpu": "V100-16GB", "parallelism": "TP8 PP4 ZeRO-1"}])
    found = published.frictionless(run).found
    assert found.memory.total > catalogue.gpu("v100-16g").memory
    assert found.layout.tensor == 8


def test_attention_that_was_not_fused_takes_longer() -> None:
    table = [
        ROW | {"parallelism": text} for text in ("no recompute", "no recompute eager attention")
    ]
    fused, parts = (published.frictionless(run) for run in published.read(table))
    assert parts.hours > 1.1 * fused.hours


def test_the_number_of_devices_is_assumed_where_it_is_not_published() -> None:
    (run,) = published.read([ROW | {"gpus": ""}])
    assert run.assumed_gpus
    assert run.gpus == 512  # a power of two, two sequences each at most
    (stated,) = published.read([ROW])
    assert (stated.gpus, stated.assumed_gpus) == (16, False)


def test_a_model_of_an_unknown_family_is_the_one_whose_parameters_come_nearest() -> None:
    (run,) = published.read([ROW])
    assert run.model.gated
    assert parameters.count(run.model).total == pytest.approx(1.1e9, rel=0.01)
