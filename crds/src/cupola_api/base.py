"""The base of every type in the API: camelCase, closed, immutable, with rules in CEL.

A rule that spans fields is written once, as CEL (the language of `x-kubernetes-validations`). The
generated CRD carries it to the API server; `Model` evaluates the same text with cel-python, so that
a laptop refuses exactly what a cluster refuses, in the same words.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, get_args

import celpy
from celpy.adapter import json_to_cel
from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


class Rule(NamedTuple):
    """A condition in CEL over `self` that must hold, and what to tell a person when it does not."""

    cel: str
    message: str


@lru_cache(maxsize=256)
def _program(cel: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(cel))


def holds(rule: Rule, **variables: Any) -> bool:
    """Whether `rule` holds for `variables` (JSON values, usually `self` and `oldSelf`)."""
    activation = {name: json_to_cel(value) for name, value in variables.items()}
    return bool(_program(rule.cel).evaluate(activation))


class Model(BaseModel):
    """A closed, immutable object of the API; `rules` are checked after its fields."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _check_rules(self) -> Model:
        if self.rules:
            value = self.to_json()
            for rule in self.rules:
                if not holds(rule, self=value):
                    raise ValueError(rule.message)
        return self

    def to_json(self) -> dict[str, Any]:
        """The object as JSON values, by its API names, without what is absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def models_in(annotation: Any) -> list[type[Model]]:
    """The types of the API inside an annotation such as `list[Source] | None`, in its order."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]
