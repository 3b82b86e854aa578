from __future__ import annotations

from typing import Any

import pytest

from cupola_api import API_VERSION, kinds
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.local.ending import Ending, ending, exit_code

SPECS: dict[str, dict[str, Any]] = {
    "Dataset": {"sources": [{"name": "a", "uri": "store:///a", "format": "Jsonl"}]},
    "PretrainJob": {"datasets": [{"name": "x"}], "model": {"size": "1M"}},
    "FineTune": {"base": {"pretrainJob": "x"}, "dataset": "x"},
}


def _value(kind: str, phase: str | None, observed: int = 1, generation: int = 1) -> Object:
    value = kinds.parse(
        {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {"name": "x", "namespace": "n"},
            "spec": SPECS[kind],
        }
    ).to_json()
    value["metadata"]["generation"] = generation
    if phase:
        value["status"] = {"phase": phase, "observedGeneration": observed}
    return value


def _world(*values: Object) -> dict[Key, Object]:
    return {key_of(value): value for value in values}


def _key(kind: str) -> Key:
    return Key(kind, "n", "x")


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (None, None),
        ("Pending", None),
        ("Waiting", None),
        ("Running", None),
        ("Recovering", None),
        ("Succeeded", Ending.SUCCEEDED),
        ("Failed", Ending.FAILED),
        ("Stalled", Ending.FAILED),
        ("Suspended", Ending.SUSPENDED),
    ],
)
def test_a_phase_tells_the_end(phase: str | None, expected: Ending | None) -> None:
    assert ending(_key("Dataset"), _world(_value("Dataset", phase))) == expected


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Stalled", "Suspended"])
def test_a_phase_of_an_older_spec_does_not_count(phase: str) -> None:
    world = _world(_value("Dataset", phase, observed=1, generation=2))
    assert ending(_key("Dataset"), world) is None


def test_what_waits_for_something_that_failed_can_never_go_on() -> None:
    world = _world(
        _value("Dataset", "Failed"), _value("PretrainJob", "Waiting"), _value("FineTune", None)
    )
    assert ending(_key("PretrainJob"), world) is Ending.BLOCKED
    assert ending(_key("FineTune"), world) is Ending.BLOCKED
    assert exit_code(list(world), world) == 1


def test_what_waits_for_something_suspended_goes_on_no_more_than_that() -> None:
    world = _world(_value("Dataset", "Suspended"), _value("PretrainJob", "Waiting"))
    assert ending(_key("PretrainJob"), world) is Ending.BLOCKED
    assert exit_code(list(world), world) == 1


def test_what_was_deleted_has_ended() -> None:
    world = _world(_value("Dataset", "Succeeded"))
    gone = _key("FineTune")
    assert ending(gone, world) is Ending.DELETED
    assert exit_code([gone, *world], world) == 1


def test_a_failure_that_is_to_be_tried_again_is_no_end() -> None:
    value = _value("Dataset", "Failed")
    value["metadata"]["annotations"] = {"cupola.dev/retry": "t"}
    assert ending(_key("Dataset"), _world(value)) is None
    value["status"]["retry"] = "t"
    assert ending(_key("Dataset"), _world(value)) is Ending.FAILED
    value["metadata"]["annotations"] = {"cupola.dev/retry": "t" * 300}
    value["status"]["retry"] = "t" * 253
    assert ending(_key("Dataset"), _world(value)) is Ending.FAILED


def test_what_is_gone_blocks_what_waits_for_it() -> None:
    assert ending(_key("PretrainJob"), _world(_value("PretrainJob", "Waiting"))) is Ending.BLOCKED


def test_a_run_that_has_its_inputs_goes_on_whatever_becomes_of_them() -> None:
    world = _world(_value("Dataset", "Failed"), _value("PretrainJob", "Running"))
    assert ending(_key("PretrainJob"), world) is None


def test_the_exit_code_waits_for_all() -> None:
    data, training = _value("Dataset", "Succeeded"), _value("PretrainJob", "Running")
    both = [_key("Dataset"), _key("PretrainJob")]
    assert exit_code(both, _world(data, training)) is None
    assert exit_code([_key("Dataset")], _world(data, training)) == 0
    assert exit_code(both, _world(data, _value("PretrainJob", "Succeeded"))) == 0
    assert exit_code(both, _world(data, _value("PretrainJob", "Failed"))) == 1


def test_a_failure_does_not_stop_what_can_still_end() -> None:
    world = _world(_value("Dataset", "Running"), _value("FineTune", "Failed"))
    assert exit_code(list(world), world) is None
