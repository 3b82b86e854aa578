from __future__ import annotations

import pytest

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


def test_a_device_answers_for_its_share_of_the_host() -> None:
    assert Settings.model_validate(VALUE).pools[0].watts == 25
