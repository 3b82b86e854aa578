"""Measures the redaction of private data on documents whose author had not seen the patterns.

The documents come from `blind_templates.txt`, filled with values of `blind_values.py` and with
what only looks like private data. They were written from the definitions in
docs/explanation/private-data.md, before their author saw the patterns, or what these find.

A planted value counts as found if findings of its kind cover its letters and digits wholly. A
finding is right if it lies in a planted value of its kind, or in what may go with that; marks and
blanks around it do not count. All others are false.
"""

import argparse
import re
import string
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import blind_values as values

from cupola_api.dataset import PiiKind
from cupola_trainer.curate import pii

TEMPLATES = Path(__file__).with_name("blind_templates.txt")
EITHER = "Either"  # text on which careful readers may differ: nothing there counts


KINDS = {pii.PLACEHOLDERS[kind].decode(): kind.value for kind in PiiKind}
PLACEHOLDER = re.compile(f"({'|'.join(KINDS)})")


@dataclass(frozen=True)
class Finding:
    """What redaction replaced, in characters."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Planted:
    """A private value: what must be found, and how far a finding may reach, in characters."""

    kind: str
    start: int
    end: int
    reach_start: int
    reach_end: int


def _digits(r: Random, n: int) -> str:
    return str(r.randint(1, 9)) + values.some(r, string.digits, n - 1)


def _upper(r: Random, n: int) -> str:
    return values.some(r, string.ascii_uppercase, n)


def _checked(body: str, weights: tuple[int, int]) -> str:
    total = sum(int(c) * weights[i % 2] for i, c in enumerate(body))
    return body + str(-total % 10)


def _ean(r: Random, start: str = "") -> str:
    start = start or r.choice(["40", "45", "50", "54", "30", "76", "87"])
    return _checked(start + values.some(r, string.digits, 12 - len(start)), (1, 3))


def _isbn(r: Random) -> str:
    e = _ean(r, "978")
    return r.choice(
        [
            e,
            f"{e[:3]}-{e[3]}-{e[4:7]}-{e[7:12]}-{e[12]}",
            f"{e[:3]} {e[3]} {e[4:8]} {e[8:12]} {e[12]}",
        ]
    )


def _long_id(r: Random) -> str:
    return r.choice(
        [
            "1" + values.some(r, string.digits, 18), f"20{r.randint(18, 24)}0{r.randint(1, 9)}1{_digits(r, 9)}",
            f"{_digits(r, 3)}-{_digits(r, 7)}-{_digits(r, 7)}", _digits(r, 16), "000" + _digits(r, 13),
        ]
    )  # fmt: skip


def _bad_card(r: Random) -> str:
    number = values.card_digits(r)
    wrong = number[:-1] + str((int(number[-1]) + r.randint(1, 9)) % 10)
    return values.group_card(r, wrong, r.choice([" ", "-", ""]))


def _bad_iban(r: Random) -> str:
    text = values.iban_text(r)
    wrong = text[:-1] + str((int(text[-1]) + r.randint(1, 9)) % 10)
    return r.choice([wrong, values.by_four(wrong)])


def _us_local(r: Random) -> str:
    pattern = r.choice(["(###) N##-####", "###-N##-####", "###.N##.####", "### N## ####"])
    area = r.choice(["937", "614", "212", "718", "415", "303", "206", "617"])
    return values.dial(r, pattern.replace("###", area, 1))


def _b64_lines(r: Random) -> str:
    lines = ["MII" + values.some(r, values.STD64, 61)]
    lines += [values.some(r, values.STD64, 64) for _ in range(r.randint(2, 14))]
    return "\n".join([*lines, values.some(r, values.STD64, 38) + "=="])


PRIVATE: dict[str, Callable[[Random], str]] = {
    "email": values.email,
    "emailsaid": values.email_said,
    "phone": values.phone,
    "uslocal": _us_local,
    "e164": lambda r: values.mark("Phone", values.digits(r, r.choice(["+4479111#####", "+491702######", "+1312N######"]))),
    "ip": values.ip,
    "ip4": lambda r: values.mark("IpAddress", values.ipv4_text(r)),
    "ip6": lambda r: values.mark("IpAddress", values.ipv6_text(r)),
    "card": values.card,
    "iban": values.iban,
    "ibancompact": lambda r: values.mark("Iban", values.iban_text(r)),
    "ssn": values.ssn,
    "ssnsaid": values.ssn_said,
    "key": values.key,
    "assigned": values.assigned,
    "password": values.password,
    "jwt": values.jwt,
    "urlpw": values.url_password,
    "giturl": lambda r: f"https://{values.mark('Secret', 'oauth2:' + values.key_text(r, short=True))}@gitlab.com/{r.choice(values.FIRMS)}/app.git",
    "awsid": lambda r: values.mark("Secret", "AKIA" + values.some(r, string.ascii_uppercase + "234567", 16)),
    "awssecret": values.aws_secret,
    "pem": values.pem,
    "pemjson": lambda r: values.pem(r, "\\n"),
    "messageid": lambda r: values.mark(EITHER, f"{values.some(r, values.HEX, 16)}@{values.host(r)}"),
}  # fmt: skip

OTHER: dict[str, Callable[[Random], str]] = {
    "name": values.name,
    "first": lambda r: r.choice(values.FIRST),
    "last": lambda r: r.choice(values.LAST),
    "lower": lambda r: r.choice(values.FIRST).lower(),
    "lower2": lambda r: r.choice(values.LAST).lower(),
    "lower1": lambda r: r.choice("abcdefw"),
    "firm": lambda r: r.choice(values.FIRMS),
    "host": values.host,
    "version": lambda r: f"{r.randint(0, 24)}.{r.randint(0, 40)}.{r.randint(0, 12)}",
    "ver4": lambda r: f"{r.randint(1, 12)}.{r.randint(0, 20)}.{r.randint(0, 9)}.{r.randint(0, 3000)}",
    "ver4b": lambda r: f"v{r.randint(1, 9)}.{r.randint(0, 20)}.{r.randint(0, 99)}.{r.randint(0, 200)}",
    "browser": lambda r: f"{r.randint(90, 131)}.0.{r.randint(4000, 6800)}.{r.randint(10, 220)}",
    "sha1": lambda r: values.some(r, values.HEX, 40),
    "sha256": lambda r: values.some(r, values.HEX, 64),
    "md5": lambda r: values.some(r, values.HEX, 32),
    "uuid": lambda r: "-".join(values.some(r, values.HEX, n) for n in (8, 4, 4, 4, 12)),
    "iso": lambda r: f"202{r.randint(0, 4)}-0{r.randint(1, 9)}-1{r.randint(0, 9)}T1{r.randint(0, 9)}:2{r.randint(0, 9)}:3{r.randint(0, 9)}.{_digits(r, 3)}Z",
    "date": lambda r: f"202{r.randint(0, 4)}-0{r.randint(1, 9)}-1{r.randint(0, 9)}",
    "dedate": lambda r: f"{r.randint(1, 28):02}.{r.randint(1, 12):02}.{r.randint(1960, 2024)}",
    "usdate": lambda r: f"{r.randint(1, 12):02}/{r.randint(1, 28):02}/{r.randint(1950, 2024)}",
    "rfcdate": lambda r: f"Tue, {r.randint(1, 28)} Mar 202{r.randint(0, 4)} 1{r.randint(0, 9)}:2{r.randint(0, 9)}:07 +0{r.randint(1, 9)}00",
    "clf": lambda r: f"{r.randint(1, 28):02}/Mar/202{r.randint(0, 4)}:1{r.randint(0, 9)}:2{r.randint(0, 9)}:07 +0{r.randint(1, 9)}00",
    "sysdate": lambda r: f"Mar {r.randint(10, 28)} 1{r.randint(0, 9)}:2{r.randint(0, 9)}:07",
    "time": lambda r: f"{r.randint(0, 23):02}:{r.randint(0, 59):02}",
    "epoch": lambda r: f"17{_digits(r, 8)}",
    "epochms": lambda r: f"17{_digits(r, 11)}",
    "isbn": _isbn,
    "ean": _ean,
    "doi": lambda r: f"10.{r.randint(1000, 9999)}/{r.choice(['j.jcp', 's', 'physrevb.'])}{_digits(r, 4)}.{_digits(r, 2)}.{_digits(r, 3)}",
    "lat": lambda r: f"{r.choice(['-', ''])}{r.randint(1, 80)}.{_digits(r, r.randint(4, 7))}",
    "lng": lambda r: f"{r.choice(['-', ''])}{r.randint(1, 179)}.{_digits(r, r.randint(4, 7))}",
    "order": lambda r: r.choice([f"A{_digits(r, 8)}", f"{_digits(r, 4)}-{_digits(r, 5)}", f"#{_digits(r, 6)}", f"{_digits(r, 10)}"]),
    "longid": _long_id,
    "imei": lambda r: values.luhn("35" + values.some(r, string.digits, 12)),
    "tracking": lambda r: r.choice([f"1Z{_upper(r, 3)}{_digits(r, 13)}", f"00340434{_digits(r, 12)}", f"RR{_digits(r, 9)}DE"]),
    "partno": lambda r: r.choice([f"{_digits(r, 3)}-{_digits(r, 5)}", f"{_upper(r, 2)}{_digits(r, 4)}-{_digits(r, 2)}", f"{_digits(r, 2)}.{_digits(r, 4)}.{_digits(r, 4)}"]),
    "badcard": _bad_card,
    "badiban": _bad_iban,
    "price": lambda r: f"{r.randint(1, 9999)}.{r.randint(0, 99):02}",
    "eur": lambda r: f"{r.randint(1, 9)}.{_digits(r, 3)},{r.randint(0, 99):02}",
    "mac": lambda r: ":".join(values.some(r, values.HEX, 2) for _ in range(6)),
    "port": lambda r: str(r.randint(1024, 65000)),
    "oid": lambda r: f"1.3.6.1.4.1.{r.randint(1, 50000)}.{r.randint(1, 9)}.{r.randint(1, 99)}",
    "privip": lambda r: r.choice([f"10.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}", f"192.168.{r.randint(0, 9)}.{r.randint(1, 254)}", f"172.1{r.randint(6, 9)}.0.{r.randint(1, 254)}"]),
    "cidr": lambda r: f"{r.choice([52, 91, 185])}.{r.randint(1, 250)}.{r.randint(0, 255)}.0/24",
    "cas": lambda r: f"{_digits(r, r.randint(2, 6))}-{_digits(r, 2)}-{_digits(r, 1)}",
    "zip": lambda r: r.choice([_digits(r, 5), f"{_digits(r, 5)}-{_digits(r, 4)}"]),
    "bic": lambda r: f"{_upper(r, 4)}DE{_upper(r, 2)}XXX",
    "cnpj": lambda r: f"{_digits(r, 2)}.{_digits(r, 3)}.{_digits(r, 3)}/0001-{_digits(r, 2)}",
    "jira": lambda r: f"OPS-{_digits(r, 4)}",
    "float": lambda r: f"{r.uniform(-9, 9):.{r.randint(2, 15)}f}",
    "b64lines": _b64_lines,
}  # fmt: skip

SIZED: dict[str, Callable[[Random, str], str]] = {
    "int": lambda r, n: _digits(r, int(n)),
    "hex": lambda r, n: values.some(r, values.HEX, int(n)),
    "upper": lambda r, n: _upper(r, int(n)),
    "b64": lambda r, n: values.some(r, values.STD64, int(n)),
    "b62": lambda r, n: values.some(r, values.B62, int(n)),
    "call": values.call,
    "callnum": lambda r, language: values.call(r, language, word=True),
    "natphone": lambda r, language: values.dial(r, r.choice(values.NATIONAL[language])),
}


def fill(r: Random, template: str) -> str:
    """The template with a value for each slot, marked where it is private."""

    def value(slot: re.Match[str]) -> str:
        name, _, size = slot[1].partition(":")
        if size:
            return SIZED[name](r, size)
        return (PRIVATE.get(name) or OTHER[name])(r)

    return re.sub("«([^»]+)»", value, template)


def unmark(marked: str) -> tuple[str, list[Planted]]:
    """The text without marks, and where what is private lies in it."""
    text, planted, at = "", [], 0
    for m in re.finditer("\x01(.*?)\x02(.*?)\x03(.*?)\x04(.*?)\x05", marked, re.DOTALL):
        text += marked[at : m.start()]
        start = len(text) + len(m[2])
        end = start + len(m[3])
        planted.append(Planted(m[1], start, end, len(text), end + len(m[4])))
        text += m[2] + m[3] + m[4]
        at = m.end()
    return text + marked[at:], planted


def findings(text: str) -> list[Finding]:
    """What redaction replaces in the text, told from the text that it leaves."""
    redacted, _ = pii.redact(text, frozenset(PiiKind))
    parts = PLACEHOLDER.split(redacted)
    between = "(.+?)".join(re.escape(part) for part in parts[::2])
    whole = re.fullmatch(between, text, re.DOTALL)
    if whole is None:
        raise ValueError(f"redaction changed more than private data: {redacted!r}")
    return [Finding(KINDS[k], *whole.span(i)) for i, k in enumerate(parts[1::2], 1)]


def _solid(text: str, start: int, end: int) -> set[int]:
    return {i for i in range(start, end) if text[i].isalnum()}


def judge(text: str, planted: list[Planted], found: list[Finding]) -> tuple[list[Planted], list[Finding]]:  # fmt: skip
    """What was missed, and what was found in error."""
    missed, right = [], set()
    for p in planted:
        near = [i for i, f in enumerate(found) if f.start < p.reach_end and p.reach_start < f.end]
        if p.kind == EITHER:
            right.update(near)
            continue
        near = [i for i in near if found[i].kind == p.kind]
        covered: set[int] = set().union(*(_solid(text, found[i].start, found[i].end) for i in near))
        if not _solid(text, p.start, p.end) <= covered:
            missed.append(p)
        reach = _solid(text, p.reach_start, p.reach_end)
        right.update(i for i in near if _solid(text, found[i].start, found[i].end) <= reach)
    return missed, [f for i, f in enumerate(found) if i not in right]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--rounds", type=int, default=100, help="documents of each template")
    arguments.add_argument("--show", action="store_true", help="print what is missed or false")
    options = arguments.parse_args()
    r = Random(options.seed)  # noqa: S311 - a seed, not a secret
    counts: Counter[tuple[str, str]] = Counter()
    templates = TEMPLATES.read_text().split("\n%%\n")
    for _ in range(options.rounds):
        for number, template in enumerate(templates):
            text, planted = unmark(fill(r, template))
            found = findings(text)
            missed, false = judge(text, planted, found)
            counts.update(("planted", p.kind) for p in planted)
            counts.update(("missed", p.kind) for p in missed)
            counts.update(("found", f.kind) for f in found)
            counts.update(("false", f.kind) for f in false)
            if options.show:
                for what, spans in (("missed", missed), ("false", false)):
                    for s in spans:
                        shown = (
                            text[max(0, s.start - 40) : s.start],
                            text[s.start : s.end],
                            text[s.end : s.end + 20],
                        )
                        print(f"{what} {s.kind} template {number}: {'▸'.join(shown)!r}")
    print(f"{len(templates)} templates, {options.rounds} documents of each, seed {options.seed}")
    print(f"{'kind':12}{'planted':>9}{'missed':>8}{'false':>7}{'recall':>8}{'precision':>11}")
    for kind in PiiKind:
        n, missing = counts["planted", kind.value], counts["missed", kind.value]
        finds, wrong = counts["found", kind.value], counts["false", kind.value]
        print(
            f"{kind.value:12}{n:9}{missing:8}{wrong:7}{1 - missing / n:8.3f}{1 - wrong / max(finds, 1):11.3f}"
        )


if __name__ == "__main__":
    main()
