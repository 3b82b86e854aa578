#!/usr/bin/env python3
"""Harvest the functions of Python's standard library, with what their docstrings say they do.

    python python_functions.py --store DIR

writes DIR/python-functions/*.jsonl, a record a function:

- `text`: its source, docstring included: what a language model is trained on from scratch. It ends
  where the function ends, so that such a model learns where functions end;
- `description`: the first paragraph of its docstring on one line, and
- `code`: its source without the docstring: prompt and answer for fine-tuning;
- `path`, `name`: the file in the standard library, and the function's qualified name.

Functions and methods with a docstring of three words and a body that does something count; those
inside other functions are part of these. Methods are dedented to stand alone. Decorators are left
out: they name what is not there. Comments and style are kept as they were written. Nothing is
deduplicated or cleaned: that is curation's job.

The output depends on the version of Python alone. The standard library is (c) Python Software
Foundation, under the PSF License Agreement (https://docs.python.org/3/license.html): keep that
notice with the data and with what is made from it.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
import sysconfig
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

from publish import NotPossible, lines, publish, run

FOLDER = "python-functions"
FILE_BYTES = 1 << 20
"""Largest size of an output file."""

SKIPPED = frozenset(
    {"__pycache__", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tests"}
    | {"turtledemo"}
)
"""Folders that hold tests, programs, grammars or what is not the standard library's own."""

LEAST_WORDS = 3
"""Words of a description at least."""
LINES = (2, 200)
"""Lines of code without the docstring, at least and at most."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(text: str) -> ast.Module:
    """The syntax tree of a source. Raises SyntaxError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in old modules
        return ast.parse(text)


def rows(text: str) -> list[str]:
    """The lines of a source as the parser counts them, with their ends."""
    return re.split("(?<=\n)", text)


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Functions and methods of a module with their qualified names, in order of their lines."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.If | ast.Try | ast.ExceptHandler | ast.With):
            yield from functions(node, prefix)


def source_of(function: Function, source: list[str]) -> str:
    """The lines of a function from its `def` on, dedented; `source` are those of its file."""
    return textwrap.dedent("".join(source[function.lineno - 1 : function.end_lineno])).rstrip()


def description_of(function: Function) -> str:
    """The first paragraph of the docstring on one line, up to an example in it; "" without one."""
    docstring = inspect.cleandoc(ast.get_docstring(function, clean=False) or "")
    paragraph = re.split(r"\n\s*\n|\n?\s*>>> ", docstring, maxsplit=1)[0]
    return " ".join(paragraph.split())


def does_something(function: Function) -> bool:
    """Whether the body is more than a docstring, `pass`, `...` or a refusal to be implemented."""

    def says_nothing(statement: ast.stmt) -> bool:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                return True
            case ast.Raise(exc=ast.Name(id="NotImplementedError")):
                return True
            case ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplementedError"))):
                return True
            case _:
                return False

    return not all(says_nothing(statement) for statement in function.body)


def without_docstring(text: str) -> str | None:
    """The source of a function without its docstring, or None where that is not simply lines.

    What is left is parsed again and must be the same program. Raises SyntaxError for text that is
    none.
    """
    (function,) = parsed(text).body
    if not isinstance(function, Function) or ast.get_docstring(function) is None:
        return None
    docstring = function.body.pop(0)
    if not function.body or docstring.end_lineno is None:
        return None
    source = rows(text)
    above = "".join(source[: docstring.lineno - 1]).rstrip()
    below = "".join(source[docstring.end_lineno :]).lstrip("\n").rstrip()
    code = f"{above}\n{below}"
    try:
        same = [ast.dump(statement) for statement in parsed(code).body] == [ast.dump(function)]
    except SyntaxError:
        return None
    return code if same else None


def record_of(path: str, name: str, function: Function, source: list[str]) -> dict[str, str] | None:
    """The record of one function, or None if there is too little or too much of it."""
    description = description_of(function)
    if len(description.split()) < LEAST_WORDS or not does_something(function):
        return None
    text = source_of(function, source)
    try:
        code = without_docstring(text)
    except SyntaxError:  # a dedented string with lines further left than the function
        return None
    if code is None or not LINES[0] <= code.count("\n") + 1 <= LINES[1]:
        return None
    return {"path": path, "name": name, "text": text, "description": description, "code": code}


def harvest(root: Path) -> Iterator[dict[str, str]]:
    """The records of all functions below `root`, in the order of paths and lines."""
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if SKIPPED.intersection(relative.parts) or relative.parts[0].startswith("config-"):
            continue
        try:
            text = path.read_text(encoding="utf-8")
            tree = parsed(text)
        except (SyntaxError, UnicodeDecodeError):
            continue
        source = rows(text)
        for name, function in functions(tree):
            record = record_of(relative.as_posix(), name, function, source)
            if record:
                yield record


def split(records: list[dict[str, str]]) -> dict[str, str]:
    """Files of at most FILE_BYTES each: name -> JSON lines, in order."""
    parts: list[list[str]] = [[]]
    size = 0
    for record in records:
        line = lines([record])
        if size and size + len(line.encode()) > FILE_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(line)
        size += len(line.encode())
    return {f"{index:03d}.jsonl": "".join(part) for index, part in enumerate(parts)}


def main() -> None:
    """Read the command line, harvest, write, say how much it is. Raises NotPossible."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", type=Path, required=True, help="folder of the store")
    store = parser.parse_args().store
    root = Path(sysconfig.get_paths()["stdlib"])
    records = list(harvest(root))
    if not records:
        raise NotPossible(
            f"{root} holds no Python source; use a Python that was installed with its library"
        )
    files = split(records)
    size = publish(store / FOLDER, files)
    print(
        f"{store / FOLDER}: {len(records)} functions of Python {sys.version.split()[0]}, "
        f"{len(files)} files, {size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    sys.exit(run(main))
