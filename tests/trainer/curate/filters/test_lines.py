from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.curate.filters import lines

ALL = {
    "line-long-word": 1000.0,
    "line-unfinished": 0.0,
    "line-few-words": 3.0,
    "line-javascript": 0.0,
    "line-policy": 0.0,
}
GOOD = "This line is a good one."
TAKEN = {
    "line-long-word": f"A word of {'x' * 1001} characters.",
    "line-unfinished": "This line just goes on",
    "line-few-words": "Two words.",
    "line-javascript": "You need to enable JavaScript for this.",
    "line-policy": "Read about our Use of Cookies here.",
}


@pytest.mark.parametrize("rule", ALL)
def test_each_rule_takes_its_line_and_no_other(rule: str) -> None:
    texts, removed = lines.clean([f"{GOOD}\n{TAKEN[rule]}\n{GOOD}", TAKEN[rule], GOOD], ALL)
    assert texts == [f"{GOOD}\n{GOOD}", "", GOOD]
    assert removed == {rule: 2}
    other = next(name for name in ALL if name != rule)
    assert lines.clean([TAKEN[rule]], {other: ALL[other]}) == ([TAKEN[rule]], Counter())


@pytest.mark.parametrize(
    "end", ["It goes on...", "It goes on,", "It goes on \u2026", "It goes on)"]
)
def test_a_line_that_does_not_end_is_unfinished(end: str) -> None:
    assert lines.clean([end], {"line-unfinished": 0.0})[0] == [""]


@pytest.mark.parametrize(
    "end", ["It ends.", "Does it?", "It does!", 'He said "so"', "He said 'so'"]
)
def test_a_line_that_ends_is_finished(end: str) -> None:
    assert lines.clean([end], {"line-unfinished": 0.0})[0] == [end]


def test_marks_of_citations_go_and_white_space_around_lines() -> None:
    text = "  The furnace[12] was lit.[citation needed] \n\n\tIt burnt.[edit] [no] []"
    assert lines.clean([text], {})[0] == ["The furnace was lit.\nIt burnt. [no]"]


def test_a_line_that_breaks_two_rules_is_counted_once() -> None:
    assert lines.clean(["no javascript"], ALL)[1] == {"line-unfinished": 1}


def by_hand(document: str) -> str:
    """C4's loop over lines, as its authors wrote it."""
    kept = []
    for raw in document.split("\n"):
        line = raw.strip()
        words = line.split()
        if any(len(word) > 10 for word in words):
            continue
        if not line.endswith((".", "?", "!", '"', "'")) or line.endswith("..."):
            continue
        if len(words) < 2:
            continue
        if "javascript" in line.lower() or "terms of use" in line.lower():
            continue
        kept.append(line)
    return "\n".join(kept)


WORDS = st.sampled_from(
    [
        "a",
        "\u00e9t\u00e9.",
        "JavaScript",
        "terms",
        "of",
        "use",
        "end.",
        "x...what?",
        "\n",
        " \n ",
        "y" * 11,
        '"',
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(WORDS, max_size=25).map(" ".join), max_size=5))
def test_what_stays_is_what_the_loop_over_lines_keeps(documents: list[str]) -> None:
    texts, _ = lines.clean(documents, {**ALL, "line-long-word": 10, "line-few-words": 2})
    assert texts == [by_hand(document) for document in documents]
