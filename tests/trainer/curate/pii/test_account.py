from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_api.dataset import PiiKind
from cupola_trainer.curate import pii
from cupola_trainer.curate.pii.account import iban, luhn


@settings(max_examples=100, deadline=None)
@given(st.text("0123456789", min_size=11, max_size=18))
def test_luhn_accepts_one_check_digit_and_finds_every_wrong_digit(payload: str) -> None:
    valid = [d for d in "0123456789" if luhn((payload + d).encode())]
    assert len(valid) == 1
    number = payload + valid[0]
    for i in range(len(number)):
        for wrong in set("0123456789") - {number[i]}:
            assert not luhn((number[:i] + wrong + number[i + 1 :]).encode())


@settings(max_examples=100, deadline=None)
@given(st.text("0123456789", min_size=18, max_size=18), st.data())
def test_iban_checksum_finds_wrong_and_swapped_characters(
    account: str, data: st.DataObject
) -> None:
    check = next(f"{c:02d}" for c in range(2, 99) if iban(f"DE{c:02d}{account}".encode()))
    number = f"DE{check}{account}"
    place = data.draw(st.integers(4, 20))
    wrong = data.draw(st.sampled_from(sorted(set("0123456789") - {number[place]})))
    assert not iban((number[:place] + wrong + number[place + 1 :]).encode())
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert iban(swapped.encode()) == (swapped == number)


@pytest.mark.parametrize(
    "number",
    [
        "4012888888881881",
        "4012 8888 8888 1881",
        "4012-8888-8888-1881",
        "5555555555554444",
        "378282246310005",
        "3782 822463 10005",
        "6011111111111117",
        "3530111333300000",
        "30569309025904",
        "2200770212727079",
        "6759649826438453",
        "6079280000000001",
    ],
)
def test_cards_are_found(number: str) -> None:
    for before, after in (("", ""), ("card ", "."), ("(", ")"), ("no:", ",")):
        found = pii.redact(before + number + after, {PiiKind.CREDIT_CARD})[0]
        assert found == before + "<CREDIT_CARD>" + after


@pytest.mark.parametrize(
    "text",
    [
        "4012888888881882",
        "9999999999999995",
        "0.4012888888881881",
        "4012888888881881.5",
        "0x4012888888881881",
        "40128888888818810000000000",
        "4 0 1 2 8 8 8 8 8 8 8 8 1 8 8 1",
        "40 1288 8888 881 881",
        "1700000000000",
    ],
)
def test_numbers_that_are_no_card_stay(text: str) -> None:
    assert pii.redact(text, {PiiKind.CREDIT_CARD}) == (text, {})


@pytest.mark.parametrize(
    "number",
    [
        "GB82 WEST 1234 5698 7654 32",
        "GB82WEST12345698765432",
        "DE89 3704 0044 0532 0130 00",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NO93 8601 1117 947",
        "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
    ],
)
def test_ibans_are_found_and_what_follows_stays(number: str) -> None:
    found = pii.redact(f"to {number} AND MORE TEXT", {PiiKind.IBAN})[0]
    assert found == "to <IBAN> AND MORE TEXT"


@pytest.mark.parametrize(
    "text", ["GB83 WEST 1234 5698 7654 32", "ZZ82 WEST 1234 5698 7654 32", "GB82 WEST 1234"]
)
def test_ibans_with_a_wrong_checksum_country_or_length_stay(text: str) -> None:
    assert pii.redact(text, {PiiKind.IBAN}) == (text, {})


@pytest.mark.parametrize(
    "text", ["219-09-9998", "SSN 219 09 9998", "social security no. 219099998"]
)
def test_social_security_numbers_are_found(text: str) -> None:
    assert pii.redact(text, {PiiKind.SSN})[1] == {PiiKind.SSN: 1}


@pytest.mark.parametrize(
    "text",
    [
        "000-12-3456",
        "666-12-3456",
        "912-12-3456",
        "219-00-9998",
        "219-09-0000",
        "219099998",
        "1219-09-9998",
        "219-09-99981",
        "12-219-09-9998",
        "219-09-9998-1",
    ],
)
def test_numbers_that_were_never_given_out_stay(text: str) -> None:
    assert pii.redact(text, {PiiKind.SSN}) == (text, {})
