from __future__ import annotations

from dataclasses import replace

from cupola_operator.plan.answers import sized
from cupola_operator.plan.answers.sized import Asked
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.hardware import Price
from cupola_operator.report import figures, plan

FOUND = sized.plan(
    Asked(
        machine=catalogue.typical("a100-80g"), size=10**9, tokens=20 * 10**9, gpus=8, context=2048
    )
)


def test_a_page_has_a_section_for_each_plan() -> None:
    one, two = plan.render([FOUND]), plan.render([FOUND, FOUND])
    assert "<h1>Plan of 1B on 20B tokens</h1>" in one
    assert "<h1>Plan of 2 resources</h1>" in two
    assert two.count("<title>Memory</title>") == 2


def test_without_a_price_there_are_no_plots_of_money() -> None:
    free = replace(FOUND.machine, price=Price())
    unpriced = sized.plan(Asked(machine=free, size=10**9, tokens=20 * 10**9, gpus=8, context=2048))
    page = plan.render([unpriced])
    assert "Cost against size" not in page
    assert "<title>Memory</title>" in page
    assert "goes without money" in page


def test_text_of_a_name_is_text() -> None:
    assert "<b>" not in plan.render([replace(FOUND, name="<b>bold</b>")])


def test_rows_are_in_words_a_person_reads() -> None:
    rows = {row[0]: row[1:] for row in figures.ranges(FOUND)}
    assert rows["Cost"][1].endswith("USD")
    assert rows["Goodput"][1].endswith("%")
    assert figures.headline(FOUND).startswith("1B on 20B tokens: 8 devices of")
    assert figures.memory(FOUND.training)[-1][0].startswith("together, of ")  # type: ignore[arg-type]
