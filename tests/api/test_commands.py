"""The two generators as a contributor calls them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from cupola_api import crd, reference


@pytest.mark.parametrize(("module", "argument"), [(crd, "folder"), (reference, "page")])
def test_help_says_how_it_is_called_and_what_for(
    module: ModuleType,
    argument: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit, match="0"):
        module.main(["--help"])
    text = capsys.readouterr().out
    assert text.startswith(f"usage: python -m {module.__name__} [-h] [--check] {argument}\n")
    assert module.__doc__ is not None
    assert module.__doc__.split(",")[0] in text
    arguments = [line.split() for line in text.splitlines() if line.startswith("  ")]
    assert {words[0] for words in arguments} == {argument, "-h,", "--check"}
    assert [words[0] for words in arguments if len(words) < 3] == []


def test_the_files_that_are_written_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "folder"
    assert crd.main([str(folder)]) == 0
    written = sorted(folder.iterdir())
    assert len(written) == 4
    assert sorted(capsys.readouterr().out.splitlines()) == [str(path) for path in written]


def test_the_lines_that_differ_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crd.main([str(tmp_path)])
    path = tmp_path / "datasets.cupola.dev.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:3], "colour: red\n", *lines[5:]]))
    capsys.readouterr()
    assert crd.main([str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == (
        f"{path} differs from the types: 2 lines to add, 1 to remove"
    )
