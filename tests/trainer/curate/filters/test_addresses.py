from __future__ import annotations

import pytest

from cupola_trainer.curate.filters.addresses import Addresses

LISTED = Addresses(["Bad.example", "http://www.shop.example/spam/", "a.b.example:80", "#", ""])


@pytest.mark.parametrize(
    "url",
    [
        "https://bad.example",
        "http://WWW.BAD.example/page?x=1",
        "//deep.below.bad.example/",
        "bad.example:8080/x",
        "https://user:word@bad.example/x",
        "http://shop.example/spam",
        "https://www.shop.example/spam/page.html#top",
        "a.b.example",
    ],
)
def test_listed_addresses_are_found(url: str) -> None:
    assert LISTED.hold([url]).tolist() == [True]


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://verybad.example/",
        "https://bad.example.org/",
        "https://good.example/?from=bad.example",
        "https://shop.example/spammer",
        "https://shop.example/",
        "https://below.shop.example/spam",
        "https://b.example",
        "not an address",
    ],
)
def test_others_are_not(url: str | None) -> None:
    assert LISTED.hold([url]).tolist() == [False]


def test_a_batch_is_answered_in_order() -> None:
    assert len(LISTED) == 3
    asked = ["x.example", "http://bad.example", None, "http://shop.example/spam"]
    assert LISTED.hold(asked).tolist() == [False, True, False, True]
    assert LISTED.hold([]).tolist() == []
    assert Addresses([]).hold(asked).tolist() == [False] * 4
