from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from cupola_api import errors
from cupola_operator.plan.speed import catalogue
from cupola_operator.settings import Settings

POOL = {
    "name": "a",
    "device": "Cpu",
    "gpusPerNode": 2,
    "pricePerGpuHour": "0.05",
    "gpuWatts": 15,
    "hostWatts": 20,
}
VALUE = {"store": "file:///data/", "pools": [POOL], "dataPool": "a"}


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("store:///", "file:///data"),
        ("store:///a/b/", "file:///data/a/b"),
        ("store:///../../etc", "file:///data/etc"),
        ("store:////a//b", "file:///data/a/b"),
        ("store:///%2e%2e/%2E%2e/etc", "file:///data/etc"),
        ("store:///a%2f..%2f..%2fetc", "file:///data/etc"),
        ("store:///a%20b/%C3%BC?#", "file:///data/a%20b/%C3%BC%3F%23"),
        ("file:///elsewhere", "file:///elsewhere"),
    ],
)
def test_a_place_in_the_store_stays_in_the_store(uri: str, place: str) -> None:
    assert Settings.model_validate(VALUE).resolve(uri) == place


def test_a_device_answers_for_its_share_of_the_host_and_of_the_data_centre() -> None:
    pool = Settings.model_validate(VALUE).pools[0]
    assert pool.model_copy(update={"pue": 1.2}).watts == 30
    assumed = catalogue.assumptions().site.pue.value
    assert pool.watts == 25 * Decimal(str(assumed))  # that of the plan


def said(settings: dict[str, Any] | None = None, **pool: Any) -> list[str]:
    """What is said of settings, and of a pool, with other fields."""
    try:
        Settings.model_validate(VALUE | (settings or {}) | {"pools": [POOL | pool]})
    except ValidationError as error:
        return errors.sentences(error, Settings)
    return []


@pytest.mark.parametrize(
    ("store", "local"),
    [
        ("file:///", True),
        ("file:///a%20b", True),
        ("s3://models", False),
        ("s3://models/cupola/", False),
        ("pvc://claim", False),
        ("pvc://claim/a/b", False),
    ],
)
def test_a_store_is_a_bucket_a_claim_or_a_folder(store: str, local: bool) -> None:
    settings = Settings.model_validate(VALUE | {"store": store})
    assert settings.is_local is local
    assert settings.resolve("store:///x") == f"{store.rstrip('/')}/x"


@pytest.mark.parametrize(
    "store",
    ["", "/data", "file://host/x", "s3:///x", "s3://B/x", "pvc:///x", "gs://b/x", "s3://b b/"],
)
def test_what_is_no_store_says_what_to_write(store: str) -> None:
    (sentence,) = said({"store": store})
    assert sentence.startswith("store must be s3://bucket/prefix, pvc://claim/path")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dataPool": "b"}, "dataPool must be the name of one of the pools"),
        ({"keepFinished": "0s"}, "keepFinished must be longer than 0"),
        ({"queue": "A"}, "is not a name"),
        ({"storage": {"endpoint": "s3.example.com"}}, "storage.endpoint must be a URL"),
        ({"storage": {"region": "eu 1"}}, "storage.region must be the name of a region"),
        ({"storage": {"secret": "a b"}}, "is not the name of an object"),
        ({"trainerImage": "a b"}, "trainerImage and curatorImage must be images"),
        ({"allowed": {"serviceaccounts": []}}, "did you mean 'serviceAccounts'?"),
    ],
)
def test_a_mistake_in_the_settings_is_said(settings: dict[str, Any], words: str) -> None:
    assert any(words in sentence for sentence in said(settings)), said(settings)


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        ({"resource": "nvidia.com/gpu"}, "a pool of device Cpu has no resource"),
        ({"device": "Gpu", "resource": "gpu"}, "resource is what Kubernetes calls a device"),
        ({"nodeSelector": {"a b": "c"}}, "keys of nodeSelector"),
        ({"annotations": {"/a": "c"}}, "keys of nodeSelector and annotations"),
        ({"topologyKey": "a b"}, "topologyKey"),
        ({"env": {"RANK": "1"}}, "env: a variable is a name"),
        ({"env": {"A B": "1"}}, "env: a variable is a name"),
        ({"resources": {"cpu": 1}}, "resources are others besides"),
        ({"resources": {"nvidia.com/gpu": 1}}, "Devices are counted by gpusPerNode"),
        (
            {"device": "Gpu", "resource": "a.io/b", "resources": {"a.io/b": 1}},
            "resources are others besides",
        ),
        ({"resources": {"rdma/hca": 0}}, "must be at least 1, not 0"),
        ({"tolerations": [{"value": "x"}]}, "tolerates every taint"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}, "compares no value"),
        ({"tolerations": [{"key": "a", "effect": "noschedule"}]}, "did you mean NoSchedule?"),
        ({"security": {"capabilities": ["IPC_LOCK"]}}, "need runAsRoot: true"),
        (
            {"security": {"runAsRoot": True, "capabilities": ["SYS_ADMIN"]}},
            "is not one of IPC_LOCK",
        ),
        ({"schedulingTimeout": "0m"}, "schedulingTimeout must be longer than 0"),
        ({"cpuPerGpu": "0.5"}, "is not an amount of CPU"),
        ({"gpu": "a1000"}, "the catalogue has no GPU 'a1000'; did you mean a100"),
        ({"gpu": "abacus"}, "it has v100-16g, v100-32g, t4"),
        ({"networkGbit": 0}, "networkGbit: must be more than 0"),
        ({"spotPricePerGpuHour": 1.5}, "spotPricePerGpuHour"),
        ({"pue": 0.9}, "pue: must be at least 1"),
        ({"failuresPerNodeDay": -1}, "failuresPerNodeDay: must be at least 0"),
    ],
)
def test_a_mistake_in_a_pool_is_said(pool: dict[str, Any], words: str) -> None:
    assert any(words in sentence for sentence in said(**pool)), said(**pool)


def test_nothing_is_allowed_by_default() -> None:
    settings = Settings.model_validate(VALUE)
    assert (settings.allowed.service_accounts, settings.allowed.secrets) == ([], [])
    assert settings.pools[0].security.run_as_root is False
