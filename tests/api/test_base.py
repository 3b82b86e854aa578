from __future__ import annotations

import pytest

from cupola_api.base import Rule, holds


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
