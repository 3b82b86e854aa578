"""Sentences about what no valid kind gives rise to: settings and run files, which are read with less strictness."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from cupola_api import errors, run
from cupola_api.base import Model
from cupola_api.kinds import KINDS, parse
from cupola_api.training import PoolName


class Inner(Model):
    name: str = Field("a", pattern=r"^[A-Z]{3}$")


class Outer(Model):
    count: int = 0
    share: float = Field(0.5, lt=1)
    whole: bool = False
    device: Literal["Cpu", "Gpu"] = "Cpu"
    labels: dict[str, str] = Field(default_factory=dict)
    pools: list[PoolName] = Field(default_factory=list)
    pair: list[int] = Field([1, 2], min_length=2)
    inner: Inner = Inner()
    inners: list[Inner] = Field(default_factory=list)


def said(**fields: Any) -> list[str]:
    try:
        Outer.model_validate(fields)
    except ValidationError as error:
        return errors.sentences(error, Outer)
    return []


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("count", "x", "'x' is not a whole number; write one, without quotes"),
        ("count", 1.5, "1.5 is not a whole number; write one, without quotes"),
        ("count", {"a": 1}, "a map is not a whole number; write one, without quotes"),
        ("share", "x", "'x' is not a number; write one, without quotes"),
        ("share", 1, "must be less than 1, not 1"),
        ("whole", "maybe", "'maybe' is not a boolean; write true or false, without quotes"),
        ("device", "Gpus", "'Gpus' is not one of Cpu, Gpu; did you mean Gpu?"),
        ("labels", ["a"], "this is a list; write fields, indented below it"),
        ("inner", ["a"], "this is a list; write fields, indented below it"),
        ("pair", [1], "the list has 1 item; write at least 2 items"),
        ("pools", {"a": 1}, "this is a map; write a list, each item after a '-'"),
    ],
)
def test_a_wrong_value_is_said_with_its_remedy(field: str, value: Any, sentence: str) -> None:
    assert said(**{field: value}) == [f"{field}: {sentence}"]


def test_an_item_of_a_list_is_told_what_its_own_pattern_asks_for() -> None:
    (sentence,) = said(pools=["a", 1.5])
    assert sentence.startswith("pools[1]: 1.5 is a number; write a name in quotes: lower-case")


def test_a_pattern_without_words_is_shown() -> None:
    assert said(inner={"name": "euro"}) == [
        "inner.name: 'euro' is not text that matches ^[A-Z]{3}$; write text that matches ^[A-Z]{3}$"
    ]
    assert said(inner={"name": 7}) == ["inner.name: 7 is a number; write a string in quotes"]


def test_below_an_item_of_a_list_its_own_fields_are_proposed() -> None:
    assert said(inners=[{"nme": "ABC"}]) == [
        "inners[0].nme: there is no field 'nme' in inners[0]; did you mean 'name'?"
    ]
    value = {
        "apiVersion": "cupola.dev/v1alpha1",
        "kind": "Evaluation",
        "metadata": {"name": "x"},
        "spec": {
            "model": {"pretrainJob": "a"},
            "tasks": [{"name": "p", "perplexity": {"dataset": "a", "limits": 3}}],
        },
    }
    with pytest.raises(ValidationError) as caught:
        parse(value)
    (sentence,) = errors.sentences(caught.value, KINDS["Evaluation"])
    assert sentence == (
        "spec.tasks[0].perplexity.limits: there is no field 'limits' in spec.tasks[0].perplexity; "
        "did you mean 'limit'?"
    )


def test_a_mistake_in_the_whole_has_no_path_before_it() -> None:
    value = {"apiVersion": "cupola.dev/v1alpha1", "kind": "Dataset", "metadata": {"name": "A"}}
    value["spec"] = {"sources": [{"name": "a", "uri": "file:///a", "format": "Text"}]}
    with pytest.raises(ValidationError) as caught:
        parse(value)
    (sentence,) = errors.sentences(caught.value, KINDS["Dataset"])
    assert sentence.startswith("metadata.name must be a DNS label")


def test_a_wrong_field_of_the_whole_gets_the_nearest_name() -> None:
    assert said(shares=1) == [
        "shares: there is no field 'shares' in the resource; did you mean 'share'?"
    ]


def test_values_are_shown_whole_up_to_sixty_characters() -> None:
    (whole,) = said(count="x" * 58)
    (cut,) = said(count="x" * 59)
    assert f"'{'x' * 58}' is not" in whole
    assert f"'{'x' * 59}... is not" in cut


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([1], "this is a list; write fields, indented below it"),
        ({}, "unable to extract tag using discriminator 'kind'"),
    ],
)
def test_a_file_that_is_no_run_is_said_without_a_path(value: Any, sentence: str) -> None:
    adapter: TypeAdapter[run.Run] = TypeAdapter(run.Run)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    assert errors.sentences(caught.value, run.PretrainRun) == [sentence]


def test_a_field_below_the_name_of_a_kind_is_named() -> None:
    adapter: TypeAdapter[run.Run] = TypeAdapter(run.Run)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python({"kind": "ListRun", "colour": 1})
    assert any(
        sentence.startswith("ListRun.colour: there is no field 'colour' in ListRun")
        for sentence in errors.sentences(caught.value, run.PretrainRun)
    )
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python({"kind": "ListRun", "name": 7})
    assert "ListRun.name: 7 is a number; write a string in quotes" in errors.sentences(
        caught.value, run.PretrainRun
    )


class Exact(Model):
    value: float = Field(allow_inf_nan=False)


def test_what_the_tables_do_not_know_is_said_with_the_value() -> None:
    with pytest.raises(ValidationError) as caught:
        Exact(value=float("inf"))
    assert errors.sentences(caught.value, Exact) == ["value: must be a finite number, not inf"]
