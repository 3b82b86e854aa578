from __future__ import annotations

from pathlib import Path

from cupola_operator.plan.answers import guide

PAGE = Path(__file__).parents[3] / "docs/explanation/guide.md"


def test_the_page_is_as_the_planner_says() -> None:
    assert guide.main([str(PAGE), "--check"]) == 0


def test_what_is_arithmetic_is_exact() -> None:
    text = guide.text()
    for amount in ("150,000", "1,500,000", "10,000,000", "100,000"):
        assert f"| {amount} USD | {amount} USD |" in text
    assert "| 200B tokens | 200B tokens |" in text
    assert "| 100 times the FLOPs | 100 |" in text


def test_a_page_that_differs_is_said(tmp_path: Path) -> None:
    page = tmp_path / "guide.md"
    page.write_text("older")
    assert guide.main([str(page), "--check"]) == 1
    assert guide.main([str(page)]) == 0
    assert guide.main([str(page), "--check"]) == 0
