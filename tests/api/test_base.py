from __future__ import annotations

import pytest
from pydantic import BaseModel, Field

from cupola_api.base import Model, Rule, holds


class Some(Model):
    number: int = 0
    names: list[str] = Field(default_factory=list)


@pytest.mark.parametrize("update", [None, {}, {"number": 2}, {"names": ["b"]}])
@pytest.mark.parametrize("deep", [False, True])
def test_a_copy_is_that_of_pydantic(update: dict[str, object] | None, *, deep: bool) -> None:
    value = Some(names=["a"])
    copy = value.model_copy(update=update, deep=deep)
    usual = BaseModel.model_copy(value, update=update, deep=deep)
    assert copy == usual
    assert copy.model_fields_set == usual.model_fields_set
    assert copy.__pydantic_private__ is usual.__pydantic_private__ is None
    if copy.names == ["a"]:
        assert (copy.names is value.names) is not deep
    assert (value.model_copy().names is value.names) is True


@pytest.mark.parametrize(
    ("number", "kept"),
    [(2**63 - 1, True), (-(2**63), True), (2**63, False), (-(2**63) - 1, False), (0, True)],
)
def test_an_integer_of_more_than_64_bits_is_a_float_to_a_rule(number: int, kept: bool) -> None:
    assert holds(Rule("type(self.n) == int", ""), self={"n": number}) is kept


def test_a_rule_sees_what_it_asks_for() -> None:
    rule = Rule("self.a == oldSelf.a && has(self.b.c)", "")
    assert holds(rule, self={"a": 1, "b": {"c": 2}}, oldSelf={"a": 1})
    assert not holds(rule, self={"a": 1, "b": {}}, oldSelf={"a": 1})
    assert not holds(rule, self={"a": 2, "b": {"c": 2}}, oldSelf={"a": 1})


def test_a_variable_of_a_rule_may_be_any_value() -> None:
    assert holds(Rule("n > 1 && names.size() == 2", ""), n=2, names=["a", "b"])
    assert not holds(Rule("n > 1 && names.size() == 2", ""), n=2, names=["a"])
