from __future__ import annotations

from pathlib import Path
from typing import Any

from cupola_api import API_VERSION, kinds
from cupola_api.common import Resource
from cupola_operator.cluster import Object, key_of
from cupola_operator.local.applied import NAMED, applied
from cupola_operator.local.store import Store


def _dataset(annotations: dict[str, str] | None = None, **spec: Any) -> Resource:
    return kinds.parse(
        {
            "apiVersion": API_VERSION,
            "kind": "Dataset",
            "metadata": {"name": "d", "annotations": annotations or {}},
            "spec": {"sources": [{"name": "a", "uri": "store:///a", "format": "Jsonl"}], **spec},
        }
    )


def _changed(value: Object, *, suspend: bool, **annotations: str) -> Object:
    """As others change it: `cupola suspend`, `kubectl annotate`."""
    metadata = value["metadata"]
    notes = metadata["annotations"] | annotations
    spec = value["spec"] | {"suspend": suspend}
    return {**value, "metadata": {**metadata, "annotations": notes}, "spec": spec}


def test_what_others_changed_and_the_file_does_not_name_stays() -> None:
    old = _changed(applied(_dataset({"mine": "1"}), None), suspend=True, theirs="2")
    new = applied(_dataset({"mine": "3"}), old)
    assert new["spec"]["suspend"] is True
    notes = new["metadata"]["annotations"]
    assert {k: notes[k] for k in notes if k != NAMED} == {"mine": "3", "theirs": "2"}


def test_what_the_file_names_is_as_the_file_says() -> None:
    old = _changed(applied(_dataset(), None), suspend=True, note="theirs")
    new = applied(_dataset({"note": "mine"}, suspend=False), old)
    assert new["spec"]["suspend"] is False
    assert new["metadata"]["annotations"]["note"] == "mine"


def test_what_the_file_named_and_does_not_name_any_more_goes() -> None:
    old = applied(_dataset({"mine": "1"}, suspend=True), None)
    assert old["spec"]["suspend"] is True
    new = applied(_dataset(), old)
    assert new["spec"]["suspend"] is False
    assert list(new["metadata"]["annotations"]) == [NAMED]


def test_a_record_that_is_not_there_or_was_edited_keeps_what_others_set() -> None:
    old = _changed(applied(_dataset(), None), suspend=True, theirs="2")
    for record in ("", "[", "7", "{}"):
        old["metadata"]["annotations"][NAMED] = record
        new = applied(_dataset(), old)
        assert new["spec"]["suspend"] is True
        assert new["metadata"]["annotations"]["theirs"] == "2"
    del old["metadata"]["annotations"], old["spec"]
    assert applied(_dataset(), old)["spec"]["suspend"] is False


def test_the_token_of_a_retry_survives_a_file_that_does_not_name_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.apply(_dataset())
    store.replace(_changed(first, suspend=False, **{"cupola.dev/retry": "t"}))
    again = store.apply(_dataset(maxPods=3))
    assert again["metadata"]["annotations"]["cupola.dev/retry"] == "t"
    assert again["spec"]["maxPods"] == 3
    assert store.apply(_dataset(maxPods=3)) == again, "a repetition changes nothing"
    assert store.get(key_of(first)) == again
