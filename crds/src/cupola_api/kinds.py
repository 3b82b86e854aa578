"""The four kinds by name, and what `kubectl apply` does to one: parse, default, validate, update."""

from __future__ import annotations

import json
from typing import Any

from cupola_api import API_VERSION
from cupola_api.base import Rule, holds
from cupola_api.common import Resource
from cupola_api.dataset import Dataset
from cupola_api.evaluation import Evaluation
from cupola_api.finetune import FineTune
from cupola_api.pretrainjob import PretrainJob

KINDS: dict[str, type[Resource]] = {
    kind.kind_name(): kind for kind in (Dataset, PretrainJob, FineTune, Evaluation)
}
"""Kind name -> type, in the order in which a model is made."""


def parse(value: dict[str, Any]) -> Resource:
    """The typed resource of a Kubernetes object, defaults filled in.

    Raises pydantic.ValidationError; `cupola_api.errors.sentences` turns it into words. The kind
    must be one of KINDS and apiVersion that of this package (KeyError, ValueError).
    """
    kind = KINDS[value["kind"]]
    if value.get("apiVersion") != API_VERSION:
        raise ValueError(f"apiVersion must be {API_VERSION}, not {value.get('apiVersion')!r}")
    # strict, by way of JSON: "3" is no number and 1 no boolean, as to the API server
    text = json.dumps(_without_nulls(value), allow_nan=False, default=str)
    return kind.model_validate_json(text, strict=True)


def _without_nulls(value: Any) -> Any:
    """`field: null` says the same as no field: the API server prunes it before it defaults."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def spec_type(kind: type[Resource]) -> Any:
    """The type of `spec` of `kind`."""
    return kind.model_fields["spec"].annotation


def transition_rule(kind: type[Resource]) -> Rule:
    """The rule on updates: the fields of a run change only together with a higher revision."""
    spec = spec_type(kind)
    fields = [
        field.alias
        for name, field in spec.model_fields.items()
        if field.alias not in spec.mutable and name != "revision"
    ]
    same = " && ".join(
        f"has(self.{f}) == has(oldSelf.{f}) && (!has(self.{f}) || self.{f} == oldSelf.{f})"
        for f in fields
    )
    return Rule(
        f"self.revision > oldSelf.revision || (self.revision == oldSelf.revision && {same})",
        f"the fields of a run change only together with spec.revision: raise spec.revision to "
        f"start a new run of this {kind.kind_name()} (only revision"
        + "".join(f", {f}" for f in sorted(spec.mutable))
        + " may change alone)",
    )


def update_error(old: Resource, new: Resource) -> str | None:
    """Why `new` may not replace `old`, or None. The API server applies the same rule."""
    rule = transition_rule(type(new))
    if holds(rule, self=new.spec.to_json(), oldSelf=old.spec.to_json()):
        return None
    return rule.message
