from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_trainer.evaluate.verdict import MAX_CHARACTERS, Verdict, verdict

FUNCTIONS = [
    "def f(x):\n    return x + 1",
    "\n\ndef f(x):\n    return x + 1\n",
    "# why\ndef f():\n    # because\n    x()",
    "async def f():\n    await g()",
    "@decorated\ndef f():\n    return 1",
    'def f():\n    """Say it."""\n    return 1',
    "def f():\n    def g():\n        pass\n    return g",
    "def f(): return",
    "def f():\n    raise ValueError",
    "def f():\n    raise",
    "def f():\n    return '\\d' is 1",
    "def f():\n    pass\n    x = 1",
]
NOTHING = [
    "def f():\n    pass",
    "def f():\n    ...",
    "def f(): 'Says what it would do.'",
    "def f():\n    raise NotImplementedError",
    "def f():\n    'Later.'\n    raise NotImplementedError('later')",
    "async def f():\n    pass\n    pass",
    "def f():\n    1",
]
NOT_ONE = [
    "",
    "# nothing",
    "x = 1",
    "lambda x: x",
    "class A:\n    def f(self):\n        return 1",
    "def f():\n    return 1\n\ndef g():\n    return 2",
    "import os\n\ndef f():\n    return 1",
    '"""A module."""\ndef f():\n    return 1',
    "def f():\n    return 1\nf()",
    "if True:\n    def f():\n        return 1",
]
NOT_PYTHON = [
    "def f(:",
    "def f():",
    " def f():\n    return 1",
    "def f():\n  return 1\n   return 2",
    "def f():\n    return '\x00'",
    "def f():\n    return '\ud800'",
    "def f():\n    return " + "(" * 5000 + ")" * 5000,
    "def f():\n    return " + "-" * 50_000 + "1",
    "def f():\n    return " + "9" * 5000,
    "def f():\n    return 1\n" + "#" * MAX_CHARACTERS,
    "A function that adds one.",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, Verdict.FUNCTION) for text in FUNCTIONS),
        *((text, Verdict.DOES_NOTHING) for text in NOTHING),
        *((text, Verdict.NOT_ONE_FUNCTION) for text in NOT_ONE),
        *((text, Verdict.NOT_PYTHON) for text in NOT_PYTHON),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_answer_is_one_function_that_does_something_or_not(text: str, expected: Verdict) -> None:
    assert verdict(text, ended=True) is expected


@pytest.mark.parametrize("text", [*FUNCTIONS, *NOTHING, *NOT_ONE, *NOT_PYTHON[:3]])
def test_an_answer_that_was_cut_off_never_counts(text: str) -> None:
    assert verdict(text, ended=False) is Verdict.NOT_ENDED


@given(st.text())
def test_any_text_gets_a_verdict(text: str) -> None:
    assert verdict(text, ended=True) in Verdict
