"""The base of every type in the API: camelCase, closed, immutable, with rules in CEL.

A rule that spans fields is written once, as CEL (the language of `x-kubernetes-validations`). The
generated CRD carries it to the API server; `Ruled` evaluates the same text with cel-python, so that
a laptop refuses exactly what a cluster refuses, in the same words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    import celpy

CHECKED = "checked"
"""Context of a validation of what was checked when it was made: its rules are not asked again."""


class Rule(NamedTuple):
    """A condition in CEL over `self` that must hold, and what to tell a person when it does not."""

    cel: str
    message: str


@lru_cache(maxsize=256)
def _program(cel: str) -> celpy.Runner:
    import celpy  # noqa: PLC0415  a pod asks no rule, and starts a third faster without

    environment = celpy.Environment()
    return environment.program(environment.compile(cel))


def holds(rule: Rule, **variables: Any) -> bool:
    """Whether `rule` holds for `variables` (JSON values, usually `self` and `oldSelf`)."""
    asked = {name: _asked(rule.cel, name, value) for name, value in variables.items()}
    return _evaluate(rule.cel, json.dumps(asked, sort_keys=True))


@lru_cache(maxsize=1024)
def _evaluate(cel: str, variables: str) -> bool:
    """The value of a rule, kept: to evaluate one takes most of a millisecond."""
    from celpy.adapter import json_to_cel  # noqa: PLC0415  as above

    values = json.loads(variables, parse_int=_number)
    return bool(_program(cel).evaluate({name: json_to_cel(v) for name, v in values.items()}))


def _asked(cel: str, name: str, value: Any) -> Any:
    """Of an object the fields that a rule asks for, so that a change of others finds it kept."""
    fields = set(re.findall(rf"\b{name}\.(\w+)", cel))
    return {k: v for k, v in value.items() if k in fields} if isinstance(value, dict) else value


def _number(text: str) -> int | float:
    """An integer as CEL has them, of 64 bits; a larger one is a float."""
    number = int(text)
    return number if -(2**63) <= number < 2**63 else float(text)


_new = object.__new__
_set = object.__setattr__
_set_fields, _set_extra, _set_private = (
    vars(BaseModel)[f"__pydantic_{slot}__"].__set__ for slot in ("fields_set", "extra", "private")
)
"""Of the slots that pydantic keeps beside the fields."""


class Model(BaseModel):
    """A closed, immutable object of the API."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    """Of a `Ruled` object."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, at a quarter of its cost: status is copied a dozen times at every look."""
        if deep:
            return super().model_copy(update=update, deep=True)
        copy, known = _new(type(self)), self.__pydantic_fields_set__
        _set(copy, "__dict__", {**self.__dict__, **update} if update else {**self.__dict__})
        _set_fields(copy, known.union(update) if update and not known >= update.keys() else known)
        _set_extra(copy, None)
        _set_private(copy, None)
        return copy

    def to_json(self) -> dict[str, Any]:
        """The object as JSON values, by its API names, without what is absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Ruled(Model):
    """An object whose `rules` are checked after its fields.

    A class of its own: status, which has no rules, is read at every look, and a validator in Python
    would double what that costs.
    """

    @model_validator(mode="wrap")
    @classmethod
    def _check_rules(
        cls, value: Any, make: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        if isinstance(value, cls):
            return value  # it cannot have changed since it was checked
        made = make(value)
        if info.context == CHECKED:
            return made
        json_value = made.to_json()
        for rule in made.rules:
            if not holds(rule, self=json_value):
                raise ValueError(rule.message)
        return made


def models_in(annotation: Any) -> list[type[Model]]:
    """The types of the API inside an annotation such as `list[Source] | None`, in its order."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]
