"""Sentences, records and code that hold private data.

The forms are taken from style guides, standards and mailboxes of many countries, not from the
patterns that are measured by them.
"""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable
from typing import NamedTuple

from cupola_api.dataset import PiiKind

Draw = random.Random


class Planted(NamedTuple):
    """A text and what is private in it."""

    text: str
    kind: PiiKind
    value: str


FIRST = [
    "maria",
    "wei",
    "john",
    "aisha",
    "olga",
    "pedro",
    "ingrid",
    "kwame",
    "yuki",
    "fatima",
    "sean",
    "chloe",
    "tomasz",
    "priya",
]
LAST = [
    "garcia",
    "zhang",
    "smith",
    "khan",
    "ivanova",
    "lopez",
    "berg",
    "mensah",
    "tanaka",
    "haddad",
    "oneill",
    "martin",
    "nowak",
]
HOSTS = [
    "gmail.com",
    "yahoo.co.uk",
    "outlook.com",
    "web.de",
    "orange.fr",
    "mail.ru",
    "qq.com",
    "uol.com.br",
    "ethz.ch",
    "cs.stanford.edu",
    "u-tokyo.ac.jp",
    "iitb.ac.in",
    "acme-tools.io",
    "northwind.biz",
    "posteo.net",
    "proton.me",
    "charite.berlin",
    "studio.photography",
    "law.legal",
    "cityofboston.gov",
    "nhs.uk",
    "dept.nasa.gov",
    "pm.me",
    "bhp.com.au",
    "kolumbus.fi",
    "telia.se",
    "seznam.cz",
    "wp.pl",
    "sapo.pt",
    "libero.it",
    "xs4all.nl",
    "skynet.be",
]
PROSE = (
    "Please send the form to {} before Friday.",
    "You can reach us ({}) on weekdays.",
    "For details, {}.",
    "{} is the one I used last year",
    "She wrote it down: {}; nobody else had it.",
    "I think it was {}, but ask Marta?",
)
RECORDS = (
    '{{"id": 17, "contact": "{}", "active": true}}',
    "17;Marta;{};Leipzig",
    "Contact:\t{}\n",
    "<td>{}</td>",
    "- {}\n- see the notes\n",
    "# maintained by Marta, {}\n",
    "contact = '{}'",
)


def digits(draw: Draw, form: str) -> str:
    """`form` with each # a digit and each N one from 2 to 9."""
    return "".join(
        draw.choice(string.digits) if c == "#" else draw.choice("23456789") if c == "N" else c
        for c in form
    )


def email(draw: Draw) -> str:
    """An address as people have them."""
    first, last = draw.choice(FIRST), draw.choice(LAST)
    local = draw.choice(
        [
            f"{first}.{last}",
            f"{first[0]}{last}",
            f"{first}{draw.randrange(100)}",
            f"{last}_{first}",
            f"{first}+news",
            f"{first.capitalize()}.{last.capitalize()}",
            f"{first}-{last}",
            f"{first[0]}.{last[0]}.{last}",
        ]
    )
    return f"{local}@{draw.choice(HOSTS)}"


INTERNATIONAL = (
    "+44 20 N### ####",
    "+44 (0)20 N### ####",
    "+44 N### ######",
    "+49 30 N#######",
    "+49 (0) 89 N######",
    "+49-170-N######",
    "+49 N##/N######",
    "+33 1 N# N# N# N#",
    "+33 (0)6 N# N# N# N#",
    "+91 98N## N####",
    "+91-98N##-#####",
    "+55 (11) 9N###-####",
    "+86 138 N### ####",
    "+86-10-N###-####",
    "+81-3-N###-####",
    "+81 90 N### ####",
    "+7 (495) N##-##-##",
    "+7 9N# ###-##-##",
    "+34 6N# ### ###",
    "+39 06 N### ####",
    "+46 (0)8-N## ## ##",
    "+31 6 N#######",
    "+61 2 N### ####",
    "+61 4N# ### ###",
    "+971 50 N## ####",
    "+234 803 N## ####",
    "+52 55 N### ####",
    "+1 212-7N#-N###",
    "+1 (415) 7N#-N###",
    "+1-312-7N#-N###",
    "+1.617.7N#.N###",
    "+1 646 7N# N###",
    "+14157N#N###",
    "+4479N#######",
    "+491N########",
)
AMERICAN = (
    "(212) 7N#-N###",
    "(415)7N#-N###",
    "312-7N#-N###",
    "617.7N#.N###",
    "1-800-7N#-N###",
    "1 (646) 7N#-N###",
    "1.503.7N#.N###",
)
NATIONAL = (
    "020 N### ####",
    "0N### ######",
    "030 / N#######",
    "089/N######",
    "01 N# N# N# N#",
    "06.N#.N#.N#.N#",
    "(03) N### ####",
    "(030) N######",
    "212 7N# N###",
    "09N ### ####",
    "11 9N###-####",
    "08-N## ## ##",
)
CALLED = (
    "Phone: {}",
    "Tel. {}",
    "tel: {}",
    "Telefon {}",
    "Fax: {}",
    "mobile {}",
    "Mobile number: {}",
    "Call {} for an appointment",
    "call me at {}",
    "Ph: {}",
    "T: {}",
    "Handy: {}",
    "Tél. : {}",
    "Teléfono: {}",
    "phone number is {}",
    "Cell: {}.",
    "WhatsApp: {}",
    "telephone no. {}",
    "Contact number: {}",
    '"phone": "{}"',
    "phone = '{}'",
    "text us on {}",
)


def phone(draw: Draw) -> tuple[str, str]:
    """A text and the number in it: without a word before it only in forms that speak for themselves."""
    if draw.random() < 0.35:
        value = digits(draw, draw.choice(NATIONAL))
        return draw.choice(CALLED).format(value), value
    value = digits(draw, draw.choice(INTERNATIONAL if draw.random() < 0.6 else AMERICAN))
    return draw.choice(PROSE + RECORDS + CALLED).format(value), value


def ipv4(draw: Draw) -> str:
    """A global address, its first number of two digits or three."""
    first = draw.choice(
        [2, 5, 8, 23, 34, 52, 62, 77, 81, 93, 104, 130, 142, 151, 185, 194, 203, 212, 217]
    )
    return f"{first}.{draw.randrange(1, 255)}.{draw.randrange(2, 255)}.{draw.randrange(1, 255)}"


def ipv6(draw: Draw) -> str:
    """A global address, short or in full."""
    head = draw.choice(["2a00:1450", "2606:4700", "2001:41d0", "2a01:4f8", "2400:cb00"])
    words = [f"{draw.randrange(1, 65536):x}" for _ in range(6)]
    return draw.choice(
        [
            f"{head}::{words[0]}",
            f"{head}:{words[0]}:{words[1]}::{words[2]}",
            f"{head}:{':'.join(words)}",
            f"{head}:{words[0]}::1",
            f"{head}::{words[1]}:{words[2]}",
        ]
    )


LOGS = (
    '{} - - [10/Oct/2021:13:55:36 -0700] "GET /index.html HTTP/1.0" 200 2326',
    "Failed password for root from {} port 52144 ssh2",
    "Accepted connection from {}.",
    "REMOTE_ADDR={}",
    "client: {}, server: _, request: GET /",
    '{{"remote": "{}", "status": 404}}',
    "Reply from {}: bytes=32 time=14ms",
    "The attacker's address was {}, the report says.",
    "X-Forwarded-For: {}",
    "Blocked {} after five attempts",
    "User {} (talk) reverted the edit",
)


def _luhn(body: str) -> str:
    total = 0
    for i, c in enumerate(reversed(body)):
        value = int(c) * (2 if i % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return body + str(-total % 10)


def card(draw: Draw) -> str:
    """A number with its check digit, written in groups or not."""
    head, length = draw.choice(
        [
            ("4", 16),
            ("51", 16),
            ("55", 16),
            ("2223", 16),
            ("34", 15),
            ("37", 15),
            ("6011", 16),
            ("65", 16),
            ("3530", 16),
            ("36", 14),
            ("4539", 16),
            ("5425", 16),
        ]
    )
    number = _luhn(head + digits(draw, "#" * (length - 1 - len(head))))
    groups = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}[length]
    mark = draw.choice(["", " ", "-"])
    pieces, place = [], 0
    for size in groups:
        pieces.append(number[place : place + size])
        place += size
    return mark.join(pieces)


IBANS = {
    "DE": "##################",
    "GB": "AAAA##############",
    "FR": "#######################",
    "NL": "AAAA##########",
    "ES": "####################",
    "IT": "A######################",
    "CH": "#################",
    "AT": "################",
    "BE": "############",
    "PL": "########################",
    "NO": "###########",
    "SE": "####################",
    "PT": "#####################",
    "SA": "####################",
    "BR": "#######################AA",
}


def iban(draw: Draw) -> str:
    """A number with its check digits, in groups of four or in one."""
    country = draw.choice(sorted(IBANS))
    body = "".join(
        draw.choice(string.ascii_uppercase) if c == "A" else draw.choice(string.digits)
        for c in IBANS[country]
    )
    digits = "".join(str(int(c, 36)) for c in f"{body}{country}00")
    number = f"{country}{98 - int(digits) % 97:02d}{body}"
    spaced = " ".join(number[i : i + 4] for i in range(0, len(number), 4))
    return draw.choice([number, spaced])


def ssn(draw: Draw) -> tuple[str, str]:
    """A text and the number in it; without hyphens only after its name."""
    area = draw.choice([*range(1, 666), *range(667, 900)])
    group, serial = draw.randrange(1, 100), draw.randrange(1, 10_000)
    if draw.random() < 0.3:
        value = draw.choice(
            [f"{area:03d}{group:02d}{serial:04d}", f"{area:03d} {group:02d} {serial:04d}"]
        )
        form = draw.choice(
            [
                "SSN: {}",
                "ssn={}",
                "Social Security Number: {}",
                '"ssn": "{}"',
                "social security no. {}",
            ]
        )
        return form.format(value), value
    value = f"{area:03d}-{group:02d}-{serial:04d}"
    return draw.choice((*PROSE, *RECORDS, "SSN {}")).format(value), value


def word(draw: Draw, size: int, letters: str = string.ascii_letters + string.digits) -> str:
    """Characters drawn from `letters`."""
    return "".join(draw.choice(letters) for _ in range(size))


def secret(draw: Draw) -> tuple[str, str]:
    """A text and the key or password in it."""
    hexes = string.hexdigits[:16]
    keys: list[Callable[[], str]] = [
        lambda: "AKIA" + word(draw, 16, string.ascii_uppercase + "234567"),
        lambda: "ghp_" + word(draw, 36),
        lambda: "github_pat_" + word(draw, 22) + "_" + word(draw, 59),
        lambda: "glpat-" + word(draw, 20),
        lambda: f"xoxb-{draw.randrange(10**11, 10**12)}-{word(draw, 24)}",
        lambda: "AIza" + word(draw, 35),
        lambda: "sk_live_" + word(draw, 24),
        lambda: "sk-proj-" + word(draw, 48),
        lambda: "sk-ant-api03-" + word(draw, 93),
        lambda: "hf_" + word(draw, 34, string.ascii_letters),
        lambda: "npm_" + word(draw, 36),
        lambda: "SG." + word(draw, 22) + "." + word(draw, 43),
        lambda: "dop_v1_" + word(draw, 64, hexes),
    ]
    kind = draw.randrange(4)
    if kind == 0:
        body = base64.b64encode(draw.randbytes(draw.choice([64, 300, 1190]))).decode()
        lines = "\n".join(body[i : i + 64] for i in range(0, len(body), 64))
        name = draw.choice(["RSA ", "EC ", "OPENSSH ", ""])
        value = f"-----BEGIN {name}PRIVATE KEY-----\n{lines}\n-----END {name}PRIVATE KEY-----"
        return draw.choice(
            ["{}\n", "the file holds\n\n{}\n\nand no more", 'KEY = """{}"""']
        ).format(value), value
    if kind == 1:
        scheme = draw.choice(
            ["postgresql", "mysql", "https", "mongodb+srv", "amqp", "redis", "ftp"]
        )
        password = draw.choice(
            [word(draw, 12), word(draw, 8) + "!9", "Tr0ub4dor&3", word(draw, 20)]
        )
        value = f"{draw.choice(FIRST)}:{password}"
        host = draw.choice(
            ["db.acme.io:5432/prod", "10.0.3.7:6379", "cluster0.mongodb.net/x", "files.uni.edu"]
        )
        text = draw.choice(["DATABASE_URL={}", 'url = "{}"', "git clone {}", "see {} for it", "{}"])
        return text.format(f"{scheme}://{value}@{host}"), value
    value = draw.choice(keys)()
    text = draw.choice(
        [
            "API_KEY={}",
            "token: {}",
            'client = Client("{}")',
            "Authorization: Bearer {}",
            "{}\n",
            "export KEY='{}'",
            '{{"key":"{}"}}',
            "curl -H 'X-Key: {}' https://acme.io",
            "my key is {}.",
        ]
    )
    return text.format(value), value


def planted(seed: int, count: int) -> list[Planted]:
    """`count` texts of each kind, each of one finding."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        address = ipv6(draw) if draw.random() < 0.3 else ipv4(draw)
        for kind, value, forms in (
            (PiiKind.EMAIL, email(draw), PROSE + RECORDS),
            (PiiKind.IP_ADDRESS, address, LOGS),
            (
                PiiKind.CREDIT_CARD,
                card(draw),
                (*PROSE, *RECORDS, "card no. {}", "CC: {} exp 09/27"),
            ),
            (PiiKind.IBAN, iban(draw), (*PROSE, *RECORDS, "IBAN {}", "IBAN: {} BIC COBADEFFXXX")),
        ):
            found.append(Planted(draw.choice(forms).format(value), kind, value))
        for kind, (text, value) in (
            (PiiKind.PHONE, phone(draw)),
            (PiiKind.SSN, ssn(draw)),
            (PiiKind.SECRET, secret(draw)),
        ):
            found.append(Planted(text, kind, value))
    return found
