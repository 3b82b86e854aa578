"""The reference of the API as a page, generated from its types.

python -m cupola_api.reference docs/reference/api.md [--check]
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import types
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cupola_api import API_VERSION, generated
from cupola_api.base import Model, models_in
from cupola_api.kinds import KINDS, spec_type, transition_rule

HEADER = f"""# API reference

Generated from the types in `crds/`; `make crds` writes it. Everything is in `{API_VERSION}` and namespaced.
"""


def _parts(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return [part for part in get_args(annotation) if part is not type(None)]
    return [annotation]


def _type(annotation: Any) -> str:
    """The type of a field in words. Raises KeyError for a type that has none yet."""
    annotation = _parts(annotation)[0]
    if get_origin(annotation) is Annotated:
        return _type(get_args(annotation)[0])
    if get_origin(annotation) is list:
        return f"list of {_type(get_args(annotation)[0])}"
    if get_origin(annotation) is dict:
        return f"map of {_type(get_args(annotation)[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " \\| ".join(f"`{value.value}`" for value in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return {str: "string", int: "integer", float: "number", bool: "boolean"}[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    if isinstance(value, Model):
        value = value.to_json()
    return f"`{json.dumps(value)}`".replace('"', "")


def _bounds(field: FieldInfo) -> str:
    words = {
        "ge": "≥",
        "gt": ">",
        "le": "≤",
        "lt": "<",
        "min_length": "length ≥",
        "max_length": "length ≤",
    }
    found = [
        f"{word} {getattr(item, name)}"
        for item in field.metadata
        for name, word in words.items()
        if getattr(item, name, None) is not None
    ]
    return ", ".join(found)


def _table(model: type[Model]) -> list[str]:
    lines = ["| field | type | default | bounds | what it is |", "|---|---|---|---|---|"]
    for name, field in model.model_fields.items():
        description = (field.description or "").replace("|", "\\|").replace("\n", " ")
        lines.append(
            f"| `{field.alias or name}` | {_type(field.annotation)} | {_default(field)} "
            f"| {_bounds(field)} | {description} |"
        )
    return lines


def _section(model: type[Model], level: str) -> list[str]:
    lines = [f"{level} {model.__name__}", "", (model.__doc__ or "").strip(), "", *_table(model), ""]
    lines += [f"- {rule.message}." for rule in model.rules]
    return [*lines, ""] if model.rules else lines


def page() -> str:
    """The whole page, in Markdown."""
    lines = [HEADER]
    seen: list[type[Model]] = []
    queue: list[type[Model]] = []
    for kind in KINDS.values():
        shown, wide = (
            ", ".join(column.name for column in kind.columns if column.priority == priority)
            for priority in (0, 1)
        )
        lines += [f"## {kind.kind_name()}", "", inspect.cleandoc(kind.__doc__ or ""), ""]
        lines += [
            f"Short name `{kind.short}`; `kubectl get` shows {shown}, and with `-o wide` {wide}.",
            "",
        ]
        lines += [f"On an update: {transition_rule(kind).message}.", ""]
        status = models_in(kind.model_fields["status"].annotation)[0]
        for model in (spec_type(kind), status):
            lines += _section(model, "###")
            queue += [m for f in model.model_fields.values() for m in models_in(f.annotation)]
    lines += ["## Types", ""]
    while queue:
        model = queue.pop(0)
        if model in seen:
            continue
        seen.append(model)
        lines += _section(model, "###")
        queue += [m for f in model.model_fields.values() for m in models_in(f.annotation)]
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or with --check exit 1 if it differs from the types."""
    parser = argparse.ArgumentParser(prog="python -m cupola_api.reference", description=__doc__)
    parser.add_argument("page", type=Path, help="the Markdown file")
    parser.add_argument("--check", action="store_true", help="exit 1 if the file differs")
    options = parser.parse_args(arguments)
    return generated.write(options.page, page(), check=options.check, source="the types of the API")


if __name__ == "__main__":
    sys.exit(main())
