from __future__ import annotations

import pytest

from cupola_api.dataset import PiiKind
from cupola_trainer.curate import pii


@pytest.mark.parametrize(
    "address",
    [
        "ann@mail.org",
        "ann.lee+lists@sub.mail.co.uk",
        "a@b.de",
        "Ann_Lee@MAIL.COM",
        "o-brien@uni-x.edu",
        "1234@qq.com",
        "o'brien@mail.org",
        "conor.O'Brien@mail.org",
    ],
)
def test_addresses_are_found_wherever_they_stand(address: str) -> None:
    for before, after in (
        ("", ""),
        ("<", ">"),
        ("mailto:", "."),
        ("(", ")"),
        ('"', '", '),
        ("\n", "\n"),
    ):
        assert (
            pii.redact(before + address + after, {PiiKind.EMAIL})[0] == before + "<EMAIL>" + after
        )


@pytest.mark.parametrize(
    "text",
    [
        "@property",
        "x@self.weight",
        "q = a@b.T",
        "loss = f(x@w.to(device))",
        "ann@example.com and bob@sub.example.org",
        "user@localhost, me@host.invalid, you@a.test",
        "git@github.com:org/repo.git",
        "noreply@mail.org",
        "ssh://ann@mail.org/repo",
        "image@2x.png",
        "package@1.2.3",
        "ann@ mail.org",
    ],
)
def test_what_only_looks_like_an_address_stays(text: str) -> None:
    assert pii.redact(text, {PiiKind.EMAIL}) == (text, {})


def test_a_string_of_python_is_no_name_with_an_apostrophe() -> None:
    assert pii.redact("f(u'ann@mail.org')", {PiiKind.EMAIL})[0] == "f(u'<EMAIL>')"
    assert pii.redact("to='ann@mail.org'", {PiiKind.EMAIL})[0] == "to='<EMAIL>'"


@pytest.mark.parametrize(
    "number",
    [
        "+44 20 7946 0958",
        "+49 (30) 901820",
        "+1 212 736 5000",
        "+12127365000",
        "+33-1-42-68-53-00",
        "+447911123456",
        "(212) 736-5000",
        "212-736-5000",
        "212.736.5000",
        "1-212-736-5000",
        "+1 212 736 5000 ext. 57",
        "212-736-5000 x57",
    ],
)
def test_numbers_that_are_written_as_telephone_numbers_are_found(number: str) -> None:
    for before, after in (("", ""), ("at ", "."), ("(", ")"), ("x: ", ", or")):
        found = pii.redact(before + number + after, {PiiKind.PHONE})[0]
        assert found == before + "<PHONE>" + after


@pytest.mark.parametrize(
    "text",
    [
        "phone 020 7946 0958",
        "Tel.: 030/901820",
        "FAX (020) 7946 0958",
        "mobile: 07911 123456",
        "WhatsApp 2127365000",
        "Tel: +31-641044153",
        "телефон: 8 (495) 609-34-80",
        "電話番号：03-3911-2436",  # noqa: RUF001
        "휴대폰\t010-2536-0877",
        '"手机": "13812145518"',
        "Rufnummer 0221 794 27 30",
        "Portable : 06 82 19 84 30",
        "Portable\t044 555 72 94",
        "contact no. 98652 24517",
    ],
)
def test_a_word_before_it_makes_a_number_a_telephone_number(text: str) -> None:
    redacted, counts = pii.redact(text, {PiiKind.PHONE})
    assert counts[PiiKind.PHONE] == 1
    assert not any(c.isdigit() for c in redacted)


@pytest.mark.parametrize(
    "text",
    [
        "a = +4294967296",
        "x = +12345678",
        "1e+1234567890",
        "2023-10-11 12:30:00+0100",
        "pages 259-264 1970",
        "from 555-0100 to (212) 555-0199",
        "123-456-7890",
        "911-736-5000",
        "212-736-5000-17",
        "v212.736.5000",
        "ISBN 978-3-16-148410-0",
        "phone support since 2019-11-02",
        "the phone has 128 GB",
        "+10 20 30 40 50",
        "2127365000",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert pii.redact(text, {PiiKind.PHONE}) == (text, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+41 79 455 98 83,151.205.32.243,x", "<PHONE>,<IP_ADDRESS>,x"),
        ("phone 212.280.4089  Loan no. 4517-957762-58", "phone <PHONE>  Loan no. 4517-957762-58"),
        ("+49 30 901820 or 030 901821", "<PHONE> or <PHONE>"),
    ],
)
def test_a_placeholder_is_no_word_for_what_follows_it(text: str, expected: str) -> None:
    assert pii.redact(text, set(PiiKind))[0] == expected
