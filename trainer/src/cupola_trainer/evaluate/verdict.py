"""Whether an answer is exactly one Python function. It is parsed, never run."""

from __future__ import annotations

import ast
import warnings
from enum import StrEnum

MAX_CHARACTERS = 1 << 16
"""Longer answers are not parsed: no function that a person would read is as long."""


class Verdict(StrEnum):
    """What an answer is."""

    FUNCTION = "Function"
    NOT_ENDED = "NotEnded"
    NOT_PYTHON = "NotPython"
    NOT_ONE_FUNCTION = "NotOneFunction"
    DOES_NOTHING = "DoesNothing"


def verdict(text: str, *, ended: bool) -> Verdict:
    """Judge an answer; `ended` says that the model closed it with its end token.

    Comments and decorators belong to the function. A body does nothing if it holds no more than
    constants (a docstring, `...`), `pass` and `raise NotImplementedError`.
    """
    if not ended:
        return Verdict.NOT_ENDED
    module = _parse(text)
    if module is None:
        return Verdict.NOT_PYTHON
    match module.body:
        case [ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body)]:
            nothing = all(_says_nothing(statement) for statement in body)
            return Verdict.DOES_NOTHING if nothing else Verdict.FUNCTION
        case _:
            return Verdict.NOT_ONE_FUNCTION


def _parse(text: str) -> ast.Module | None:
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's opinion of escapes and comparisons
            return ast.parse(text)
    # ValueError: null bytes, lone surrogates. The other two: nested too deep for the parser.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _says_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Raise(exc=ast.Name(id="NotImplementedError")):
            return True
        case ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplementedError"))):
            return True
        case _:
            return False
