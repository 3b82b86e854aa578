from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cupola_operator.settings import Settings, SettingsInvalid, load

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
        ("file:///elsewhere", "file:///elsewhere"),
    ],
)
def test_a_place_in_the_store_stays_in_the_store(uri: str, place: str) -> None:
    assert Settings.model_validate(VALUE).resolve(uri) == place


def test_a_device_answers_for_its_share_of_the_host() -> None:
    assert Settings.model_validate(VALUE).pools[0].watts == 25


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("store: [", "is not YAML"),
        ("- a", "settings are a map"),
        (yaml.safe_dump({**VALUE, "dataPool": "b"}), "dataPool must be the name of one"),
        (yaml.safe_dump({**VALUE, "pools": [POOL, POOL]}), "pools must have different names"),
        (yaml.safe_dump({**VALUE, "colour": "red"}), "there is no field 'colour'"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_one_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(SettingsInvalid, match=words) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_settings_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        load(tmp_path / "none.yaml")
