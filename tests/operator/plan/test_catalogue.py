from __future__ import annotations

import dataclasses
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.catalogue.rows import Instance
from cupola_operator.plan.speed.hardware import Gpu

SETTINGS = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


def test_a_gpu_has_the_figures_of_its_data_sheet_in_base_units() -> None:
    a100 = catalogue.gpu("a100-80g")
    assert a100.peak["BF16"] == 312e12
    assert a100.bandwidth == 2039e9
    assert a100.link == 300e9
    assert a100.watts == 400
    assert 77 * 2**30 < a100.memory < 80 * 2**30


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("A100-80GB", "a100-80g"),
        ("A100-40GB", "a100-40g"),
        ("a100", "a100-80g"),
        ("H100", "h100-sxm"),
        ("H800", "h100-sxm"),
        ("NVIDIA L4", "l4"),
        ("RTX 4090", "rtx-4090"),
    ],
)
def test_a_gpu_is_found_by_the_names_that_people_use(said: str, name: str) -> None:
    assert catalogue.gpu(said).name == name


def test_an_unknown_gpu_is_refused_with_near_names() -> None:
    with pytest.raises(catalogue.UnknownGpu, match="did you mean h100"):
        catalogue.gpu("h1000")
    with pytest.raises(catalogue.UnknownGpu, match=r"it has v100-16g, .*, mi300x"):
        catalogue.gpu("abacus")


@pytest.mark.parametrize("gpu", catalogue.gpus(), ids=lambda gpu: gpu.name)
def test_figures_of_a_gpu_are_plausible(gpu: Gpu) -> None:
    ordered = [gpu.peak[one] for one in ("FP32", "TF32", "BF16", "FP8") if one in gpu.peak]
    assert ordered == sorted(ordered)
    assert gpu.peak.get("BF16", gpu.peak.get("FP16")) == gpu.peak.get("FP16", None)
    assert gpu.host_link <= gpu.bandwidth
    assert gpu.flops("BF16") >= gpu.flops("FP32")


def test_instances_of_both_clouds_have_gpus_of_the_catalogue() -> None:
    named = {one.name: one for one in catalogue.instances()}
    assert named["p4d.24xlarge"].gpu.name == "a100-40g"
    assert named["p4d.24xlarge"].network == 50e9
    assert named["a3-highgpu-8g"].gpus == 8
    assert {family.split(".")[0] for family in named} >= {
        *("p3", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "g5", "g6", "g6e"),
        *("a2-highgpu-8g", "a2-ultragpu-8g", "a3-megagpu-8g", "a3-ultragpu-8g", "a4-highgpu-8g"),
    }


def test_a_price_is_that_of_one_gpu_and_one_that_is_not_known_is_none() -> None:
    p3 = catalogue.instance("p3.16xlarge")
    assert p3 is not None
    assert p3.price.on_demand == Decimal("3.06")
    unpriced = catalogue.instance("p5e.48xlarge")
    assert unpriced is not None
    assert unpriced.price.on_demand is None
    assert catalogue.instance("p99") is None


def test_every_figure_of_a_cloud_has_a_date_and_a_source() -> None:
    for cloud in catalogue.clouds():
        assert cloud.date.year >= 2020
        assert all(one.source for one in cloud.instances)


def test_what_nobody_stated_of_a_machine_is_assumed_and_said() -> None:
    a100 = catalogue.gpu("a100")
    machine = catalogue.machine(a100, name="x")
    assert machine.gpus == 8
    assert machine.network == 200e9
    assert set(machine.assumed) == {
        *("network", "hostWatts", "pue", "failuresPerNodeDay", "carbonIntensity"),
    }
    stated = catalogue.machine(
        a100, name="x", network=1e9, host_watts=0, pue=1.1, failures_per_node_day=0, carbon=0
    )
    assert stated.assumed == ()
    assert (stated.host_watts, stated.failures_per_node_day, stated.carbon) == (0, 0, 0)


def test_half_a_node_has_half_its_network() -> None:
    a100 = catalogue.gpu("a100")
    assert catalogue.machine(a100, name="x", gpus=4).network == 100e9


def test_a_typical_node_has_the_lowest_list_price_of_its_gpu() -> None:
    assert catalogue.typical("a100-80g").price.on_demand == Decimal("27.44705") / 8
    assert catalogue.typical("mi300x").price.on_demand is None


def test_a_data_file_with_a_wrong_figure_is_refused() -> None:
    row = {
        "name": "p1",
        "gpu": "a100",
        "gpus": 8,
        "networkGbit": 1,
        "memoryGib": 1,
        "source": "somewhere",
    }
    Instance.model_validate(row)
    for wrong in ({"onDemand": "-1"}, {"gpus": 0}, {"source": ""}, {"price": "1"}):
        with pytest.raises(ValidationError):
            Instance.model_validate(row | wrong)


def test_the_settings_page_names_every_gpu() -> None:
    text = SETTINGS.read_text()
    assert [
        gpu.name for gpu in catalogue.gpus() if gpu.name not in text and gpu.name != "cpu"
    ] == []


def test_a_machine_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        catalogue.typical("h100").gpus = 9  # type: ignore[misc]
