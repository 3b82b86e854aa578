from __future__ import annotations

from functools import cache
from pathlib import Path
from statistics import median

import pytest

from cupola_operator.plan import calibration, catalogue, parameters, published, published_page
from cupola_operator.plan.published import GIVEN, Frictionless, Line

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
def found() -> list[Frictionless]:
    return [published.frictionless(run) for run in published.runs()]


@cache
def given() -> list[Line]:
    names = {run.name for run in published.runs(GIVEN)}
    lines = published.leave_one_family_out(found())
    return [line for line in lines if line.of.run.name in names]


def test_models_of_the_file_have_the_parameters_that_it_says() -> None:
    rows = {row["model"]: float(row["parameters"]) for row in published._rows(GIVEN)}
    counts = {run.name: parameters.count(run.model).total for run in published.runs(GIVEN)}
    assert counts == pytest.approx(rows, rel=0.005)


def test_runs_that_others_are_fitted_to_are_predicted_better_than_by_a_constant_mfu() -> None:
    error = median(abs(line.error) for line in given())
    assert error <= 0.22
    assert error < median(abs(line.constant_error) for line in given())


def test_the_range_holds_most_runs_and_is_narrow() -> None:
    lines = published.leave_one_family_out(found())
    for several in (given(), lines):
        assert sum(line.held for line in several) >= 0.75 * len(several)
        assert max(line.width for line in several) <= 2.5


def test_the_given_runs_alone_predict_the_others() -> None:
    """Nothing was fitted to these: the friction is that of the eleven, of other families or not."""
    names = {line.of.run.name for line in given()}
    fitted = published.of([line.of for line in given()])
    others = [one for one in found() if one.run.name not in names]
    errors = [abs(fitted.factor * one.hours / one.run.hours - 1) for one in others]
    assert median(errors) <= 0.22


def test_the_friction_that_the_planner_uses_is_the_one_that_was_fitted() -> None:
    used, fitted = calibration.friction(), published.of(found()).range
    assert used.ends == pytest.approx(fitted.ends, rel=0.02)
    assert "published-runs.csv" in catalogue.friction().fitted_on


def test_a_family_is_never_fitted_to_itself() -> None:
    line = given()[0]
    others = [one for one in found() if one.run.family != line.of.run.family]
    assert all(not one.run.name.startswith("Llama") for one in others)
    expected = published.of(others).factor * line.of.hours
    assert line.predicted.expected == pytest.approx(expected)


def test_the_page_is_what_the_planner_says_now() -> None:
    assert PAGE.read_text() == published_page.page(found()), (
        f"run python -m cupola_operator.plan.published_page {PAGE}"
    )


def test_what_is_known_of_a_layout_is_kept() -> None:
    (run,) = published.read([ROW | {"parallelism": "DP8 TP2 PP1 ZeRO-1 full recompute"}])
    known = {"data": 8, "tensor": 2, "pipeline": 1, "zero": 1, "checkpointing": "Full"}
    assert run.fixed == known
    layout = published.frictionless(run).found.layout
    assert {name: getattr(layout, name) for name in known} == known


def test_a_layout_that_ran_is_timed_even_where_cupola_would_need_more_memory() -> None:
    rows = [row for row in published._rows(published.MORE) if row["model"] == "OPT-175B"]
    (run,) = published.read([rows[0] | {"gpu": "V100-16GB", "parallelism": "TP8 PP4 ZeRO-1"}])
    found = published.frictionless(run).found
    assert found.memory.total > catalogue.gpu("v100-16g").memory
    assert found.layout.tensor == 8


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
