from __future__ import annotations

from cupola_api.filters import BlockList
from cupola_trainer.curate.filters.blocking import Blocking


def block_list(name: str, matches: str, **fields: int) -> BlockList:
    return BlockList(name=name, uri="store:///list.txt", matches=matches, **fields)


def test_the_first_list_that_matches_is_named_and_addresses_come_first() -> None:
    blocking = Blocking()
    assert blocking.add(block_list("mild", "Words", min_matches=2), ["darn", "oh dear"]) == 2
    assert blocking.add(block_list("harsh", "Words"), ["Blast it"]) == 1
    assert blocking.add(block_list("sites", "Url"), ["bad.example"]) == 1
    documents = [
        "Darn! Oh, dear.",
        "darn",
        "darn, blast it, oh dear",
        "blast. It",
        "fine",
        "darn darn",
    ]
    urls = ["", "http://good.example", None, "", "http://a.bad.example/x", "bad.example"]
    expected = ["block-mild", None, "block-mild", "block-harsh", "block-sites", "block-sites"]
    assert blocking.judge(documents, urls) == expected
    assert blocking.judge([], []) == []


def test_entries_that_are_too_long_are_not_used() -> None:
    assert Blocking().add(block_list("long", "Words"), ["a b c d e f g h i", "..."]) == 0
