from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

from cupola_operator.plan.answers import sized
from cupola_operator.plan.answers.sized import Asked
from cupola_operator.plan.answers.training import Prices
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


def test_no_row_has_a_bare_estimate() -> None:
    """Each is a low, an expected and a high, or `expected (low to high)`."""
    there = replace(FOUND.machine, price=Price(Decimal("1.5"), Decimal("1.2"), Decimal("0.6")))
    prices = Prices(device=Decimal(10_000), kwh=Decimal("0.1"))
    asked = Asked(machine=there, size=10**9, tokens=20 * 10**9, gpus=8, prices=prices)
    found = sized.plan(asked)
    others = sized.elsewhere(asked, found, [catalogue.typical("h100-sxm")])
    exact = {row[0] for row in figures.ranges(found) if not (row[1] and row[3])}
    assert exact == {"Checkpoint"}
    rows = {row[0]: row[1:] for row in figures.ranges(found)}
    assert all(end.endswith(" h a GPU") for end in rows["Owning is cheaper after"])
    ranged = re.compile(r"\S.* \(\S+ to \S+\)")
    for row in figures.options(found):
        assert all(ranged.fullmatch(cell) for cell in row[1:])
    for row in figures.alternatives(replace(found, alternatives=tuple(others))):
        assert all(ranged.fullmatch(cell) for cell in row[1:3])


def test_where_electricity_costs_more_than_rent_owning_is_never_cheaper() -> None:
    there = replace(FOUND.machine, price=Price(Decimal("0.06")))
    prices = Prices(device=Decimal(10_000), kwh=Decimal("0.1"))
    asked = Asked(machine=there, size=10**9, tokens=20 * 10**9, gpus=8, prices=prices)
    low, expected, high = next(
        row[1:] for row in figures.ranges(sized.plan(asked)) if row[0] == "Owning is cheaper after"
    )
    assert low.endswith(" h a GPU")
    assert (expected, high) == ("never", "never")


def test_rows_are_in_words_a_person_reads() -> None:
    rows = {row[0]: row[1:] for row in figures.ranges(FOUND)}
    assert rows["Cost"][1].endswith("USD")
    assert rows["Goodput"][1].endswith("%")
    assert figures.headline(FOUND).startswith("1B on 20B tokens: 8 devices of")
    assert figures.memory(FOUND.training)[-1][0].startswith("together, of ")  # type: ignore[arg-type]
