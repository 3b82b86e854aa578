"""Programs are built from modules that have to be downloaded, over a network that may falter."""

import types
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "binaries"
LOST = 'Get \\"/k8s.io/api/@v/v0.34.4.zip\\": dial tcp: i/o timeout'


@pytest.fixture
def go(tmp_path, monkeypatch):
    """Makes a `go` that fails so often, with these words, and then prints `built`."""
    binaries = types.ModuleType("binaries")
    binaries.__file__ = str(SCRIPT)
    SourceFileLoader("binaries", str(SCRIPT)).exec_module(binaries)
    monkeypatch.setattr(binaries, "PAUSES", (0.01, 0.01, 0))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def make(failures, words):
        script = (
            f"echo >>{tmp_path}/tries; test $(wc -l <{tmp_path}/tries) -gt {failures} && echo built"
        )
        program = tmp_path / "go"
        program.write_text(f'#!/bin/sh\n({script}) || {{ echo "{words}" >&2; exit 1; }}\n')
        program.chmod(0o755)
        return lambda: binaries.go("tools", "build")

    make.tries = lambda: len((tmp_path / "tries").read_text().splitlines())
    return make


def test_a_download_that_broke_off_is_tried_again(go):
    assert go(2, LOST)() == "built"
    assert go.tries() == 3


def test_a_download_that_never_works_is_given_up(go):
    with pytest.raises(SystemExit, match="i/o timeout"):
        go(9, LOST)()
    assert go.tries() == 3


def test_what_does_not_compile_is_told_at_once(go):
    with pytest.raises(SystemExit, match="undefined: etcdmain"):
        go(9, "main.go:9:2: undefined: etcdmain")()
    assert go.tries() == 1
