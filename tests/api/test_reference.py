from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import Field

from cupola_api import reference
from cupola_api.base import Model
from cupola_api.kinds import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api.md"


def test_the_page_in_the_repository_is_that_of_the_types() -> None:
    assert PAGE.read_text() == reference.page()


def test_every_type_that_is_linked_has_one_section() -> None:
    text = reference.page()
    sections = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    links = set(re.findall(r"\]\(#(\w+)\)", text))
    assert len(sections) == len(set(sections))
    assert links <= {name.lower() for name in sections}


def test_every_field_of_a_table_is_described() -> None:
    rows = [line for line in reference.page().splitlines() if line.startswith("| `")]
    cells = [re.split(r"(?<!\\) \| ?", row.strip("| ")) for row in rows]
    assert {len(row) for row in cells} == {5}
    assert [row[0] for row in cells if not row[1]] == []


def test_every_kind_says_how_it_is_called_and_what_may_change() -> None:
    text = reference.page()
    for name, kind in KINDS.items():
        section = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert f"Short name `{kind.short}`" in section
        assert f"start a new run of this {name}" in section


def test_check_says_what_differs_and_writing_it_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "new" / "folder" / "api.md"
    assert reference.main([str(page), "--check"]) == 1
    assert capsys.readouterr().err == (
        f"{page} differs from the types of the API; run `make crds`\n"
    )
    assert not page.exists()
    assert reference.main([str(page)]) == 0
    assert reference.main([str(page)]) == 0
    assert page.read_text() == reference.page()
    assert reference.main([str(page), "--check"]) == 0
    page.write_text(page.read_text() + "\n")
    assert reference.main([str(page), "--check"]) == 1


class Sample(Model):
    """A type of the API."""

    either: str = Field("a", description="One of a | b,\nas you like.")


def test_what_a_description_holds_breaks_no_row() -> None:
    *_, row = reference._table(Sample)
    assert row == r"| `either` | string | `a` |  | One of a \| b, as you like. |"
