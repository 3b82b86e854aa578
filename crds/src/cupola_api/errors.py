"""Validation errors as sentences: what is wrong, where, and what to write instead."""

from __future__ import annotations

import difflib
import types
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cupola_api.quantities import UNITS


def sentences(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """One sentence an error, each beginning with the field's path as written in YAML."""
    return [_sentence(details, root) for details in error.errors(include_url=False)]


def path_of(location: tuple[int | str, ...]) -> str:
    """`("spec", "sources", 0, "uri")` -> `spec.sources[0].uri`."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _sentence(details: ErrorDetails, root: type[BaseModel]) -> str:  # noqa: C901
    location = details["loc"]
    path = path_of(location)
    context: dict[str, Any] = details.get("ctx", {})
    given = details["input"]
    match details["type"]:
        case "extra_forbidden":
            known = _fields(root, location[:-1])
            name = str(location[-1])
            near = difflib.get_close_matches(name, known, n=1)
            where = path_of(location[:-1]) or "the resource"
            if near:
                return f"{path}: there is no field {name!r} in {where}; did you mean {near[0]!r}?"
            return f"{path}: there is no field {name!r} in {where}; it has {', '.join(known)}"
        case "missing":
            return f"{path}: this field is required; add it"
        case "enum" | "literal_error":
            return f"{path}: {given!r} is not one of {context['expected']}"
        case "string_pattern_mismatch":
            wanted = UNITS.get(context["pattern"], f"text that matches {context['pattern']}")
            return f"{path}: {given!r} is not {wanted}; write {wanted}"
        case "string_type":
            wanted = _unit(root, location) or "a string"
            return f"{path}: {given!r} is a {_name(given)}; write {wanted}"
        case "value_error":
            at = f"{path}: " if path else ""
            return f"{at}{context['error']}"
        case "int_type" | "float_type" | "int_parsing" | "float_parsing" | "int_from_float":
            number = "a whole number" if details["type"].startswith("int") else "a number"
            return f"{path}: {given!r} is not {number}; write {number} without quotes"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"{path}: {given!r} is a {_name(given)}; write fields, indented below it"
        case "list_type":
            return f"{path}: {given!r} is a {_name(given)}; write a list, each item after a '-'"
        case _:
            message = details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            return f"{path}: {given!r} must be {message}" if path else message


def _name(value: Any) -> str:
    names = {int: "number", float: "number", bool: "boolean", str: "string", list: "list"}
    return names.get(type(value), "map" if isinstance(value, dict) else "null")


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The model types inside an annotation such as `list[Source] | None`."""
    if get_origin(annotation) in (Union, types.UnionType, list, dict) or get_args(annotation):
        return [model for part in get_args(annotation) for model in _models(part)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return []


def _field(root: type[BaseModel], location: tuple[int | str, ...]) -> Any:
    """The FieldInfo at a path of aliases, or None."""
    field = None
    models = [root]
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
        models = _models(field.annotation)
    return field


def _fields(root: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The names that may stand at a path."""
    models = [root]
    if any(not isinstance(step, int) for step in location):
        field = _field(root, location)
        models = _models(field.annotation) if field else []
    return [info.alias or name for model in models for name, info in model.model_fields.items()]


def _unit(root: type[BaseModel], location: tuple[int | str, ...]) -> str | None:
    """The unit in words of the quantity at a path, if it is one."""
    field = _field(root, location)
    for constraint in [field, *getattr(field, "metadata", [])]:
        for pattern, words in UNITS.items():
            if pattern in str(getattr(constraint, "pattern", "")) or pattern in repr(constraint):
                return words
    return None
