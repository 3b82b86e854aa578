"""Numbers of people and their accounts: payment cards, IBANs, US social security numbers."""

from __future__ import annotations

from cupola_api.dataset import PiiKind
from cupola_trainer.curate.patterns import pattern
from cupola_trainer.curate.pii.finder import MARKS, NUMBERS, Finder, Span, digits, stands_alone

_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in (
        line.split(":")
        for line in (
            "15:NO",
            "16:BE",
            "18:DK FI FO GL NL FK SD",
            "19:MK SI",
            "20:AT BA EE KZ LT LU XK MN",
            "21:CH HR LI LV",
            "22:BG BH CR DE GB GE IE ME RS VA",
            "23:AE GI IL IQ OM TL SO",
            "24:AD CZ ES MD PK RO SA SE SK TN VG",
            "25:LY PT ST",
            "26:IS TR",
            "27:BI DJ FR GR IT MC MR SM",
            "28:AL AZ BY CY DO GT HU LB NI PL SV",
            "29:BR EG PS QA UA",
            "30:JO KW MU YE",
            "31:MT SC",
            "32:LC",
            "33:RU",
        )
    )
    for country in countries.split()
}
"""Country -> characters of an IBAN, from the registry that SWIFT keeps for ISO 13616."""


_MAESTRO = frozenset((5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763))


def luhn(number: bytes) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for i, digit in enumerate(reversed(number)):
        value = (digit - 48) * (1 + i % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def iban(number: bytes) -> bool:
    """Whether a number without spaces has its country's length and the remainder 1 (ISO 7064)."""
    text = number.decode()
    if len(text) != _IBAN_LENGTHS.get(text[:2]):
        return False
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def card_brand(number: bytes) -> bool:
    """Whether first digits and length are those of a card that is issued."""
    two, three, four = int(number[:2]), int(number[:3]), int(number[:4])
    length = len(number)
    return (
        (number[:1] == b"4" and length in (16, 19))
        or ((51 <= two <= 55 or 2221 <= four <= 2720) and length == 16)
        or (two in (34, 37) and length == 15)
        or ((300 <= three <= 305 or two in (36, 38)) and length == 14)
        or ((four == 6011 or two == 65 or 644 <= three <= 649 or two == 62) and length >= 16)
        or (3528 <= four <= 3589 and length >= 16)
        or (2200 <= four <= 2204 and length >= 16)  # Mir
        or (four in _MAESTRO and length >= 16)
        or ((two in (60, 81, 82) or three == 508) and length == 16)  # RuPay
    )


def _check_card(text: bytes, start: int, end: int) -> Span | None:
    number = digits(text[start:end])
    found = stands_alone(text, start, end) and card_brand(number) and luhn(number)
    return (start, end) if found else None


def _check_iban(text: bytes, start: int, end: int) -> Span | None:
    """Cut the match to the country's length: what follows may look like more groups."""
    wanted = _IBAN_LENGTHS.get(text[start : start + 2].decode())
    length = 0
    for position in range(start, end):
        length += text[position] != 32
        if length == wanted:
            number = text[start : position + 1].replace(b" ", b"")
            whole = iban(number) and stands_alone(text, start, position + 1)
            return (start, position + 1) if whole else None
    return None


def _check_ssn(text: bytes, start: int, end: int) -> Span | None:
    """Numbers that were never given out do not count."""
    number = digits(text[start:end])
    area, group, serial = number[:3], number[3:5], number[5:]
    issued = area not in (b"000", b"666") and area[0] != ord("9") and group != b"00"
    alone = stands_alone(text, start, end)
    return (start, end) if issued and serial != b"0000" and alone else None


FINDERS = (
    Finder(
        PiiKind.IBAN,
        pattern(rb"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?"),
        _check_iban,
        screen=MARKS,
    ),
    Finder(
        PiiKind.CREDIT_CARD,
        pattern(
            rb"\b(?:\d{4}(?: \d{4}){3}(?: \d{1,3}\b)?|\d{4}(?:-\d{4}){3}(?:-\d{1,3}\b)?"
            rb"|\d{4} \d{6} \d{4,5}|\d{4}-\d{6}-\d{4,5}|\d{14,19})\b"
        ),
        _check_card,
        screen=NUMBERS,
    ),
    Finder(PiiKind.SSN, pattern(rb"\b\d{3}-\d{2}-\d{4}\b"), _check_ssn, screen=NUMBERS),
    Finder(
        PiiKind.SSN,
        pattern(
            rb"(?i)\b(?:ssn|social security(?: number| no\.?| #)?)\b[^0-9\n]{0,16}"
            rb"(\d{3} ?\d{2} ?\d{4})\b"
        ),
        _check_ssn,
        screen=NUMBERS,
    ),
)
