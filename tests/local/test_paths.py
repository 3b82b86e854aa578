from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.local.paths import rewrite

MOUNTS = {"/data": "/d/data/1", "/data/in": "/d/in", "/dev/termination-log": "/d/end"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data", "/d/data/1"),
        ("/data/", "/d/data/1/"),
        ("/data/run.yaml", "/d/data/1/run.yaml"),
        ("/data/in/x", "/d/in/x"),
        ("/data/inner", "/d/data/1/inner"),
        ("--out=/data/x", "--out=/d/data/1/x"),
        ("a:/data:/data/in", "a:/d/data/1:/d/in"),
        ("cat /data/a > /data/b", "cat /d/data/1/a > /d/data/1/b"),
        ("'/data/a'", "'/d/data/1/a'"),
        ("/dev/termination-log", "/d/end"),
        ("/datashop", "/datashop"),
        ("/data-2", "/data-2"),
        ("/data.d", "/data.d"),
        ("/my/data", "/my/data"),
        ("file:///data/x", "file:///data/x"),
        ("./data", "./data"),
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
