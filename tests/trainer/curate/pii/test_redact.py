from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_api.dataset import PiiKind
from cupola_trainer.curate import pii

ALL = set(PiiKind)
FRAGMENTS = [
    "ann@mail.org",
    "@",
    "+44 20 7946 0958",
    "212-736-5000",
    "54.12.33.9",
    "4012888888881881",
    "GB82 WEST 1234 5698 7654 32",
    "219-09-9998",
    "https://bob:t0psecr3t@",
    "AKIA" + "Q" * 16,
    "-----BEGIN PRIVATE KEY-----\n" + "A" * 64,
    "-----END PRIVATE KEY-----",
    "phone: ",
    " ",
    "\n",
    ".",
    "-",
    "é",
    "7",
    "x",
]


def test_every_kind_is_replaced_by_its_own_placeholder_and_counted() -> None:
    text = (
        "Ann <ann@mail.org>, tel. 212-736-5000, SSN 219-09-9998, card 4012 8888 8888 1881, "
        "IBAN GB82 WEST 1234 5698 7654 32, from 54.12.33.9, key AKIA" + "Q" * 16
    )
    redacted, counts = pii.redact(text, ALL)
    assert redacted == (
        "Ann <<EMAIL>>, tel. <PHONE>, SSN <SSN>, card <CREDIT_CARD>, "
        "IBAN <IBAN>, from <IP_ADDRESS>, key <SECRET>"
    )
    assert counts == dict.fromkeys(PiiKind, 1)


def test_only_the_kinds_asked_for_are_replaced() -> None:
    text = "ann@mail.org and 212-736-5000"
    assert pii.redact(text, {PiiKind.PHONE})[0] == "ann@mail.org and <PHONE>"
    assert pii.redact(text, {PiiKind.SSN}) == (text, {})


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
def test_what_is_left_holds_no_further_finding(text: str) -> None:
    redacted, counts = pii.redact(text, ALL)
    again, more = pii.redact(redacted, ALL)
    assert again == redacted
    assert not more
    assert bool(counts) == (redacted != text)


def test_text_around_a_finding_stays_as_it_is() -> None:
    text = "naïve “quotes” — ann@mail.org — 漢字"
    assert pii.redact(text, ALL)[0] == "naïve “quotes” — <EMAIL> — 漢字"


@pytest.mark.parametrize(
    ("kind", "name"), [(PiiKind.EMAIL, "pii-email"), (PiiKind.IP_ADDRESS, "pii-ip-address")]
)
def test_a_kind_names_the_rule_that_drops_by_it(kind: PiiKind, name: str) -> None:
    assert pii.rule_name(kind) == name


def test_time_grows_with_the_text_only() -> None:
    # Each of these takes a backtracking engine hours.
    for hostile in ("a@" + "a." * 50_000, "1 " * 50_000, "-----BEGIN PRIVATE KEY-----" * 2_000):
        pii.redact(hostile, ALL)
