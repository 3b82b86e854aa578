"""pythonFunction: the share of generated answers that are exactly one Python function.

Answers are parsed, never run. The score says whether a model knows the form of its task, not
whether the function is right.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Callable
from enum import StrEnum

from cupola_trainer.evaluate.results import Measured, Result, Subject
from cupola_trainer.generate import answers

MAX_CHARACTERS = 1 << 16
"""Longer answers are not parsed: no function that a person would read is as long."""

BATCH = 32
"""Prompts that are answered at a time."""


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


def measure(
    subject: Subject,
    prompts: list[str],
    *,
    max_new_tokens: int,
    report: Callable[[float], None],
) -> Result:
    """Let a model answer `prompts`, greedily, and judge each answer.

    Chance is 0: tokens drawn at random practically never parse, let alone close one function.
    """
    # Like lengths go together, so that little of a batch is padding and short ones end early.
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found: dict[int, tuple[str, bool]] = {}
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        said = answers(
            subject.model,
            subject.tokenizer,
            [prompts[i] for i in batch],
            max_new_tokens=max_new_tokens,
            batch_size=BATCH,
        )
        found |= {i: (text, ended) for i, (text, ended) in zip(batch, said, strict=True)}
        report(len(found) / len(prompts))
    judged = [(*found[i], verdict(found[i][0], ended=found[i][1])) for i in range(len(prompts))]
    share = sum(v is Verdict.FUNCTION for *_, v in judged) / len(judged)
    return Result(
        [
            Measured(
                metric="share",
                value=share,
                standard_error=math.sqrt(share * (1 - share) / len(judged)),
                chance=0.0,
                samples=len(judged),
            )
        ],
        [
            {"prompt": prompt, "answer": text, "ended": ended, "verdict": v.value}
            for prompt, (text, ended, v) in zip(prompts, judged, strict=True)
        ],
    )
