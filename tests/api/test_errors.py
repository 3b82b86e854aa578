from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cupola_api import API_VERSION, crd, errors
from cupola_api.kinds import KINDS, parse

VALID: dict[str, dict[str, Any]] = {
    "Dataset": {"sources": [{"name": "a", "uri": "file:///a", "format": "Text"}]},
    "PretrainJob": {"datasets": [{"name": "a"}], "model": {"size": "2M"}},
    "FineTune": {"base": {"pretrainJob": "a"}, "dataset": "a"},
    "Evaluation": {
        "model": {"pretrainJob": "a"},
        "tasks": [{"name": "p", "perplexity": {"dataset": "a"}}],
    },
}


def said(kind: str, **changes: Any) -> list[str]:
    """What is said of a valid resource with other fields in spec."""
    value = {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": "x"},
        "spec": VALID[kind] | changes,
    }
    try:
        parse(value)
    except ValidationError as error:
        return errors.sentences(error, KINDS[kind])
    return []


COUNT = 'with an optional suffix K, M, B or T, such as "2M"'


@pytest.mark.parametrize(
    ("kind", "field", "value", "sentence"),
    [
        ("PretrainJob", "tokens", 2000000, f"2000000 is a number; write a count in quotes {COUNT}"),
        ("PretrainJob", "tokens", "2 M", f"'2 M' is not a count; write a count as a string {COUNT}"),
        ("PretrainJob", "tokens", ["2M"], f"this is a list; write a count in quotes {COUNT}"),
        ("PretrainJob", "tokens", "9" * 25, f"'{'9' * 25}' has 25 characters; write at most 24"),
        ("PretrainJob", "tokens", True, f"true is a boolean; write a count in quotes {COUNT}"),
        ("PretrainJob", "seed", -1, "must be at least 0, not -1"),
        ("PretrainJob", "seed", "1", "'1' is not a whole number; write one, without quotes"),
        ("PretrainJob", "seed", 1.5, "1.5 is not a whole number; write one, without quotes"),
        ("PretrainJob", "weightDecay", 11, "must be at most 10, not 11"),
        ("PretrainJob", "weightDecay", "x", "'x' is not a number; write one, without quotes"),
        ("PretrainJob", "tokensPerParameter", 0, "must be more than 0, not 0"),
        ("PretrainJob", "datasets", [], "the list has no items; write at least 1 item"),
        ("PretrainJob", "datasets", "a", "'a' is a string; write a list, each item after a '-'"),
        ("PretrainJob", "pools", ["a"] * 9, "the list has 9 items; write at most 8"),
        ("PretrainJob", "model", "7B", "'7B' is a string; write fields, indented below it"),
        ("PretrainJob", "schedule", [], "this is a list; write fields, indented below it"),
        ("PretrainJob", "precision", "FP16", "'FP16' is not one of BF16, FP32; did you mean BF16?"),
        ("PretrainJob", "precision", "int8", "'int8' is not one of BF16, FP32"),
        (
            "PretrainJob",
            "output",
            "gs://bucket/x",
            ("'gs://bucket/x' is not a place in storage; write store:///path for the "
            "installation's store, s3://bucket/path, pvc://claim/path for a PersistentVolumeClaim, "
            "or file:///path for this machine, without spaces"),
        ),
        (
            "FineTune",
            "dataset",
            "My_Data",
            "'My_Data' is not a name; write lower-case letters and digits, with '-' between them",
        ),
        ("FineTune", "dataset", "", "'' is too short; write at least 1 character"),
        ("FineTune", "dataset", 7, ("7 is a number; write a name in quotes: lower-case letters and "
            "digits, with '-' between them")),
    ],
)  # fmt: skip
def test_a_wrong_value_is_said_with_its_remedy(
    kind: str, field: str, value: Any, sentence: str
) -> None:
    assert said(kind, **{field: value}) == [f"spec.{field}: {sentence}"]


def test_a_wrong_field_gets_the_nearest_name() -> None:
    assert said("PretrainJob", token="2M") == [
        "spec.token: there is no field 'token' in spec; did you mean 'tokens'?"
    ]
    assert said("PretrainJob", schedule={"lr": 1})[0] == (
        "spec.schedule.lr: there is no field 'lr' in spec.schedule; it has learningRate, warmup, "
        "final"
    )


def test_a_missing_field_is_named() -> None:
    assert said("Dataset", sources=[{"uri": "store:///a", "format": "Text"}]) == [
        "spec.sources[0].name: this field is required; add it"
    ]


def test_fields_in_lists_and_maps_are_named_by_their_path() -> None:
    assert said("PretrainJob", checkpoint={"every": 30}) == [
        (
            "spec.checkpoint.every: 30 is a number; write a duration in quotes with units d, h, m or "
            's, such as "30m"'
        )
    ]
    assert said("PretrainJob", parallelism={"activationCheckpointing": 1}) == [
        (
            "spec.parallelism.activationCheckpointing: 1 is not a boolean; write true or false, "
            "without quotes"
        )
    ]
    assert said("FineTune", tuning={"lora": {"targets": [None]}})[0].startswith(
        "spec.tuning.lora.targets[0]: this is empty; write"
    )


def test_a_rule_speaks_for_itself() -> None:
    assert said("PretrainJob", model={}) == [
        (
            "spec.model: say how large the model is once: write either size: 7B or shape: {layers, "
            "hidden, heads}"
        )
    ]


def test_every_error_is_said() -> None:
    assert len(said("PretrainJob", seed=-1, tokens=1, zzz=1)) == 3


def test_case_does_not_hide_what_was_meant() -> None:
    assert said("PretrainJob", precision="bf16") == [
        "spec.precision: 'bf16' is not one of BF16, FP32; did you mean BF16?"
    ]
    assert said("PretrainJob", TOKENS="2M")[0].endswith("did you mean 'tokens'?")


def test_what_a_person_wrote_stays_on_one_line() -> None:
    (sentence,) = said("PretrainJob", **{"a\n\x1b[31m": 1})
    assert sentence.startswith(
        r"spec.a\n\x1b[31m: there is no field 'a\n\x1b[31m' in spec; it has "
    )
    assert said("PretrainJob", **{"": 1})[0].startswith("spec.'': there is no field '' in spec;")


def test_a_number_beyond_64_bits_is_out_of_bounds_like_any_other() -> None:
    assert said("PretrainJob", seed=10**30) == [
        f"spec.seed: must be at most 2147483647, not 1{'0' * 30}"
    ]
    assert said("PretrainJob", model={"shape": {"layers": 1, "hidden": 10**30, "heads": 1}}) == [
        f"spec.model.shape.hidden: must be at most 65536, not 1{'0' * 30}"
    ]
    metadata = {"name": "x", "generation": 10**30}
    value = {"apiVersion": API_VERSION, "kind": "Dataset", "metadata": metadata}
    assert parse(value | {"spec": VALID["Dataset"]}).metadata.generation == 10**30


def test_long_values_are_cut() -> None:
    (sentence,) = said("PretrainJob", precision="x" * 1000)
    assert len(sentence) < 120


def test_every_pattern_of_the_api_is_known_in_words() -> None:
    for kind in KINDS.values():
        (version,) = crd.definition(kind)["spec"]["versions"]
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        assert set(patterns(spec)) <= errors.WORDS.keys()


def patterns(schema: dict[str, Any]) -> list[str]:
    children = [
        *schema.get("properties", {}).values(),
        *([schema["items"]] if "items" in schema else []),
    ]
    found = [pattern for child in children for pattern in patterns(child)]
    return [*found, schema["pattern"]] if "pattern" in schema else found
