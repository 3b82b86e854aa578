from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.local.paths import rewrite

MOUNTS = {"/work": "/d/work/1", "/work/in": "/d/in", "/dev/termination-log": "/d/end"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/work", "/d/work/1"),
        ("/work/", "/d/work/1/"),
        ("/work/run.yaml", "/d/work/1/run.yaml"),
        ("/work/in/x", "/d/in/x"),
        ("/work/inner", "/d/work/1/inner"),
        ("--out=/work/x", "--out=/d/work/1/x"),
        ("a:/work:/work/in", "a:/d/work/1:/d/in"),
        ("cat /work/a > /work/b", "cat /d/work/1/a > /d/work/1/b"),
        ("'/work/a'", "'/d/work/1/a'"),
        ("/dev/termination-log", "/d/end"),
        ("/workshop", "/workshop"),
        ("/work-2", "/work-2"),
        ("/work.d", "/work.d"),
        ("/my/work", "/my/work"),
        ("file:///work/x", "file:///work/x"),
        ("./work", "./work"),
        ("", ""),
    ],
)
def test_mount_paths_change_and_nothing_else(text: str, expected: str) -> None:
    assert rewrite(text, MOUNTS) == expected


def test_what_was_put_in_is_not_rewritten_again() -> None:
    assert rewrite("/tmp/a", {"/tmp": "/tmp/pods/p", "/pods": "/x"}) == "/tmp/pods/p/a"


def test_characters_of_patterns_are_plain() -> None:
    assert rewrite("/a+b/c /aab/c", {"/a+b": r"/x\1"}) == r"/x\1/c /aab/c"


@given(st.text())
def test_without_mounts_nothing_changes(text: str) -> None:
    assert rewrite(text, {}) == text


@given(st.text(alphabet="abc/=: "))
def test_a_text_without_a_mount_path_is_left_alone(text: str) -> None:
    assert rewrite(text, {"/mnt": "/x"}) == text
