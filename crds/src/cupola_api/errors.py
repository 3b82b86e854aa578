"""Validation errors as sentences: what is wrong, where, and what to write instead."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cupola_api import synthetic
from cupola_api.base import models_in
from cupola_api.common import PLACE
from cupola_api.dataset import SOURCE
from cupola_api.quantities import UNITS

WORDS = UNITS | {
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "a name: lower-case letters and digits, with '-' between "
    "them",
    PLACE: "a place in storage: store:///path for the installation's store, s3://bucket/path, "
    "pvc://claim/path for a PersistentVolumeClaim, or file:///path for this machine, without spaces",
    SOURCE: "a place of data: store:///path for the installation's store, s3://bucket/path, "
    "pvc://claim/path for a PersistentVolumeClaim, hf://org/name for a dataset of the Hugging Face "
    "hub, or file:///path for this machine, without spaces",
    r"^sha256:[0-9a-f]{64}$": "a digest: sha256:, then 64 hex digits",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$": "the name of a task: letters, digits, '_', '.' and '-'",
    r"^[a-z][a-z0-9_]{0,62}$": "the name of a metric: lower-case letters, digits and '_'",
    r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$": "the value of a label: at most 63 "
    "letters, digits, '-', '_' and '.'",
    r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$": "the name of an object: lower-case letters, digits, "
    "'-' and '.'",
    r"^[A-Za-z_][A-Za-z0-9_]{0,127}$": "the name of a variable: letters, digits and '_'",
    synthetic.COMMIT: "a model of the hub at a commit: hf://org/name@ and 40 hex digits",
    synthetic.URL: "the address of an endpoint: http:// or https://, host and path, without user, "
    "password, query or a '/' at the end",
    synthetic.MODEL: "the name of a model: without spaces",
    synthetic.ENTRY: "an entry of a Secret: letters, digits, '-', '_' and '.'",
}
"""What each pattern of the API asks for: what it is, and after a colon how it is written."""

_SHOWN = 60


def sentences(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """One sentence an error, each beginning with the field's path as written in YAML."""
    return [_sentence(details, root) for details in error.errors(include_url=False)]


def path_of(location: tuple[int | str, ...]) -> str:
    """`("spec", "sources", 0, "uri")` -> `spec.sources[0].uri`."""
    text = ""
    for step in location:
        word = f"[{step}]" if isinstance(step, int) else plain(step) or "''"
        text += word if isinstance(step, int) or not text else f".{word}"
    return text


def _sentence(details: ErrorDetails, root: type[BaseModel]) -> str:
    location = details["loc"]
    path = path_of(location)
    if details["type"] == "value_error":  # a Rule or a validator: a whole sentence already
        sentence = str(details["ctx"]["error"])
    elif details["type"] == "missing":
        sentence = "this field is required; add it"
    elif details["type"] == "extra_forbidden":
        sentence = _unknown(root, location)
    else:
        sentence = _mismatch(details, _wanted(root, location))
    return f"{path}: {sentence}" if path else sentence


def _unknown(root: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """There is no such field; the nearest one, or all there are."""
    name = plain(str(location[-1]))
    known = _fields(root, location[:-1])
    where = path_of(location[:-1]) or "the resource"
    near = _near(name, known)
    rest = f"did you mean {near!r}?" if near else f"it has {', '.join(known)}"
    return f"there is no field '{name}' in {where}; {rest}"


def _near(word: str, known: Sequence[str]) -> str | None:
    """The one of `known` that was probably meant, upper and lower case aside."""
    lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), lower, n=1)
    return lower[found[0]] if found else None


def _mismatch(details: ErrorDetails, wanted: str | None) -> str:
    """What is wrong with a value of a known field; `wanted` is what its pattern asks for."""
    context: dict[str, Any] = details.get("ctx", {})
    value = details["input"]
    match details["type"]:
        case "enum" | "literal_error":
            known = re.findall(r"'([^']*)'", context["expected"])
            near = _near(plain(str(value)), known)
            guess = f"; did you mean {near}?" if near else ""
            return f"{shown(value)} is not one of {', '.join(known)}{guess}"
        case "string_pattern_mismatch":
            wanted = WORDS.get(context["pattern"], f"text that matches {context['pattern']}")
            noun, colon, form = wanted.partition(": ")
            noun = noun.split(" as a string")[0]
            return f"{shown(value)} is not {noun}; write {form if colon else wanted}"
        case "string_type":
            noun, colon, form = (wanted or "a string").partition(": ")
            noun = noun.replace("as a string", "in quotes")
            noun = noun if "in quotes" in noun else f"{noun} in quotes"
            return f"{_kind(value)}; write {noun}{colon}{form}"
        case "int_type" | "int_parsing" | "int_from_float":
            return f"{shown(value)} is not a whole number; write one, without quotes"
        case "float_type" | "float_parsing":
            return f"{shown(value)} is not a number; write one, without quotes"
        case "bool_type" | "bool_parsing":
            return f"{shown(value)} is not a boolean; write true or false, without quotes"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"{_kind(value)}; write fields, indented below it"
        case "list_type":
            return f"{_kind(value)}; write a list, each item after a '-'"
    return _bound(details["type"], value, context) or _rest(details["msg"], value)


def _bound(kind: str, value: Any, context: dict[str, Any]) -> str | None:
    """The sentence of a value that is too small, large, short or long."""
    match kind:
        case "string_too_short":
            characters = _many(context["min_length"], "character")
            return f"{shown(value)} is too short; write at least {characters}"
        case "string_too_long":
            return (
                f"{shown(value)} has {len(value)} characters; write at most {context['max_length']}"
            )
        case "too_short":
            items = _many(context["min_length"], "item")
            count = _many(context["actual_length"], "item")
            return f"the list has {count}; write at least {items}"
        case "too_long":
            count = _many(context["actual_length"], "item")
            return f"the list has {count}; write at most {context['max_length']}"
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than":
            (limit,) = context.values()
            return f"must be {_BOUNDS[kind]} {limit:.12g}, not {shown(value)}"
    return None


def _rest(message: str, value: Any) -> str:
    """Pydantic's own words, for what the tables do not know."""
    if message.startswith("Input should be "):
        return f"must be {message.removeprefix('Input should be ')}, not {shown(value)}"
    return message[:1].lower() + message[1:]


_BOUNDS = {
    "greater_than_equal": "at least",
    "greater_than": "more than",
    "less_than_equal": "at most",
    "less_than": "less than",
}


def plain(text: str, longest: int = _SHOWN) -> str:
    """A text that somebody wrote, on one line of printable characters, cut where it is long."""
    text = text[: longest + 1]
    return _cut(text if text.isprintable() else repr(text)[1:-1], longest)


def shown(value: Any) -> str:
    """A value as in YAML, on one line, cut where it is long."""
    if isinstance(value, dict | list):
        return "a map" if isinstance(value, dict) else "a list"
    return _cut(json.dumps(value) if value is None or isinstance(value, bool) else repr(value))


def _cut(text: str, longest: int = _SHOWN) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."


def _kind(value: Any) -> str:
    """`7B` -> `'7B' is a string`; of a map or a list: `this is a map`."""
    names = {int: "a number", float: "a number", bool: "a boolean", str: "a string"}
    if type(value) in names:
        return f"{shown(value)} is {names[type(value)]}"
    return "this is empty" if value is None else f"this is {shown(value)}"


def _many(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _field(root: type[BaseModel], location: tuple[int | str, ...]) -> Any:
    """The FieldInfo at a path of aliases, or None."""
    field = None
    models: Sequence[type[BaseModel]] = [root]
    for step in location:
        if isinstance(step, int):
            continue
        found = [
            info
            for model in models
            for name, info in model.model_fields.items()
            if step in (info.alias, name)
        ]
        if not found:
            return None
        field = found[0]
        models = models_in(field.annotation)
    return field


def _fields(root: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The names that may stand at a path."""
    models: Sequence[type[BaseModel]] = [root]
    if any(not isinstance(step, int) for step in location):
        field = _field(root, location)
        models = models_in(field.annotation) if field else []
    return [info.alias or name for model in models for name, info in model.model_fields.items()]


def _wanted(root: type[BaseModel], location: tuple[int | str, ...]) -> str | None:
    """What the pattern at a path asks for, in words, if it has a known one."""
    field = _field(root, location)
    parts = [field, *_parts(field.annotation)] if field else []
    constraints = [constraint for part in parts for constraint in getattr(part, "metadata", [])]
    patterns = [getattr(constraint, "pattern", None) for constraint in constraints]
    return next((WORDS[pattern] for pattern in patterns if pattern in WORDS), None)


def _parts(annotation: Any) -> list[Any]:
    """What an annotation such as `list[Count] | None` is composed of."""
    inner = [part for argument in get_args(annotation) for part in _parts(argument)]
    return [annotation, *inner]
