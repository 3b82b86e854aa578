"""Private data as standards and vendors write it: values, each with what may stand around it.

Written for measuring, from the standards: E.164 and E.123 and what telephone companies print, ISO
13616 for IBANs, ISO/IEC 7812 for cards, RFC 5322 for addresses, what registries give out for the
Internet, what vendors publish on their keys.
"""

from __future__ import annotations

import base64
import ipaddress
import random
import re
import string
from itertools import pairwise

Draw = random.Random

_ALPHANUMERIC = string.ascii_letters + string.digits


def fill(draw: Draw, form: str) -> str:
    """`form` with each # a digit, and each N one from 2 to 9."""
    letters = {"#": string.digits, "N": "23456789"}
    return "".join(draw.choice(letters.get(c, c)) for c in form)


_CAPITALS = string.ascii_uppercase


def _list(text: str, mark: str | None = None) -> list[str]:
    return text.split(mark)


def word(draw: Draw, size: int, letters: str = _ALPHANUMERIC) -> str:
    """Characters drawn from `letters`."""
    return "".join(draw.choices(letters, k=size))


_NAMES = _list(
    "nguyen.van.an bogdan_i mduduzi hye-jin.park s.ramaswamy ozlem.yildirim jvdberg l.m.ferreira "
    "Agnieszka.Wrobel anders84 thu.ha dimitris.k m.al-rashid tkowalczyk o'brien.ciara j.doe2 "
    "lars+github eva.svensson-holm R.Tagore zoe_x info2.k chidi.okafor a1b2c3 hello.its.mina"
)
_HOSTS = _list(
    "vodafone.com.tr naver.com rediffmail.com bigpond.net.au t-online.de laposte.net wanadoo.es "
    "ukr.net mail.bg abv.bg bk.ru 163.com daum.net ezweb.ne.jp uct.ac.za itu.edu.tr cam.ac.uk "
    "students.uni-mannheim.de med.lu.se gov.sg health.nsw.gov.au us.army.mil fh-joanneum.at "
    "kth.se zalando.de mercadolibre.com.ar globo.com safaricom.co.ke mtn.ng acme.dev fly.io "
    "lists.debian.org users.noreply.gitea.org xn--mller-kva.de foo-bar.software hey.com duck.com "
    "icloud.com tutanota.com fastmail.fm gmx.at hotmail.co.in ntlworld.com"
)


def email(draw: Draw) -> str:
    """An address of a person."""
    return f"{draw.choice(_NAMES)}@{draw.choice(_HOSTS)}"


INTERNATIONAL = _list(
    "+90 (212) N## ## ##|+90 5N# ### ## ##|+62 812-N###-####|+62 21 N### ####|+54 9 11 N###-####"
    "|+56 9 N### ####|+57 3## ### ####|+51 9## ### ###|+20 10 #### ####|+972 5#-N##-####"
    "|+254 7## ######|+63 917 ### ####|+84 9# ### ## ##|+66 8# ### ####|+351 91# ### ###"
    "|+46 70-### ## ##|+45 N# ## ## ##|+47 9## ## ###|+358 40 #######|+353 87 ### ####"
    "|+420 60# ### ###|+36 30 ### ####|+30 69# ### ####|+40 7## ### ###|+380 67 ### ## ##"
    "|+375 29 ###-##-##|+64 21 ### ####|+32 470 ## ## ##|+41 44 N## ## ##|+43 664 #######"
    "|+352 621 ### ###|+82-10-####-####|+82 2 N### ####|+852 #### ####|+65 9### ####"
    "|+60 12-### ####|+92 300 #######|+880 1711-######|+94 77 ### ####|+212 6##-######"
    "|+27 82 ### ####|+255 7## ### ###|+1 (506) N4#-####|+1 876 N4# ####|+98 912 ### ####"
    "|+966 5# ### ####|+973 3### ####|+998 90 ### ## ##|+77#########|+2547########|+9055########"
    "|+336########|+34 9## ## ## ##|+39 34# ### ####|+48 60# ### ###|+44 7N## ######",
    "|",
)
AMERICAN = _list(
    "(514) N4#-####|604-N4#-####|305.N4#.####|1-888-N4#-####|+1 702-N4#-#### ext. ##"
    "|(787) N4#-####|1 (403) N4#-####|808-N4#-#### x###",
    "|",
)
_NATIONAL = {
    "Tel|Telefon|Telefonnummer|Rufnummer|Mobil|Fax": (
        "0664 1234###|089 N### ####|0151 N#######|030 N### ## ##|(0221) N## ## ##|0351/N######"
        "|0043 1 N######"
    ),
    "Tél|Téléphone|Portable|Numéro de téléphone|Mobile": (
        "06 ## ## ## ##|01.4#.##.##.##|0470 ## ## ##|044 N## ## ##|079 ### ## ##"
    ),
    "Teléfono|Tel|Móvil|Celular|Número de teléfono": (
        "91# ### ###|6## ### ###|55 N### ####|011 4###-####|(01) N## ####|9 #### ####"
    ),
    "phone|tel|mobile|cell|phone number|Telephone|contact no|Ph": (
        "0712 ######|087 ### ####|0917 ### ####|020 7### ####|07### ######|(02) 9### ####"
        "|0803 ### ####|011 4## ####|98### #####|040-N### ####|021 ### ####|416 N4# ####"
    ),
    "tlf|Telefon|Puh|telefonnummer|Mobilnummer": (
        "070-### ## ##|N# ## ## ##|9## ## ###|040 #######|08-N## ## ##"
    ),
    "telefon|tel|Numer telefonu|mob|telefono|Tel. kom": (
        "60# ### ###|02## ### ###|22 N## ## ##|34# #######|06 #### ####|0N## ## ## ##"
    ),
    "тел|Телефон|Моб": "8 (495) N##-##-##|8 9## ###-##-##|067 ### ## ##|8 (812) N##-##-##",  # noqa: RUF001
    "電話|電話番号|TEL": "03-N###-####|090-####-####|06-6###-####|0120-###-###",
    "전화|휴대폰|연락처": "010-####-####|02-N##-####|031-N##-####",
    "电话|手机|联系电话": "138########|010-6### ####|021-5#######|400-###-####",
}
"""Words before a number, and how it is written where they are."""


def national(draw: Draw) -> tuple[str, str]:
    """The word before a number, and the number, as written at home."""
    names = draw.choice(sorted(_NATIONAL))
    return draw.choice(names.split("|")), fill(draw, draw.choice(_NATIONAL[names].split("|")))


def ipv4(draw: Draw) -> str:
    """Any address that is given out."""
    while True:
        found = ipaddress.IPv4Address(draw.getrandbits(32))
        if found.is_global and not found.is_multicast and int(found) & 255:
            return str(found)


_ALLOCATED = "2001:2 2003: 2400: 2401:b 2404:6800: 2600:1f 2607:f 2610: 2804: 2a02:8 2a0d: 2c0f:f"


def ipv6(draw: Draw) -> str:
    """An address of a network that a registry gave out, as RFC 5952 writes it or in full."""
    while True:
        head = draw.choice(_ALLOCATED.split())
        first, _, second = head.partition(":")
        given = second.rstrip(":") + word(draw, 4 - len(second.rstrip(":")), "0123456789abcdef")
        middle = [f"{draw.getrandbits(16):x}" if draw.random() < 0.5 else "0" for _ in range(5)]
        last = f"{draw.randrange(1, 1 << 16):x}"
        found = ipaddress.IPv6Address(":".join([first, given, *middle, last]))
        if found.is_global:
            way = draw.random()
            return str(found).upper() if way < 0.1 else found.exploded if way < 0.2 else str(found)


_ISSUERS = (
    ("4", 16, 30),
    ("5#", 16, 20),
    ("2221", 16, 3),
    ("2720", 16, 2),
    ("34", 15, 5),
    ("37", 15, 8),
    ("6011", 16, 4),
    ("649", 16, 2),
    ("3528", 16, 3),
    ("3589", 16, 2),
    ("36", 14, 3),
    ("305", 14, 2),
    ("62", 16, 4),
    ("62", 19, 3),
    ("2202", 16, 3),
    ("6759", 16, 2),
    ("5018", 16, 1),
    ("607#", 16, 2),
    ("6521", 16, 1),
)
"""First digits, length and weight; the last are Mir, Maestro and RuPay."""


def card(draw: Draw) -> str:
    """A number with its check digit, as printed on the card or as typed."""
    head, length, _ = draw.choices(_ISSUERS, [weight for *_, weight in _ISSUERS])[0]
    body = f"5{draw.choice('12345')}" if head == "5#" else fill(draw, head)
    body += word(draw, length - 1 - len(body), string.digits)
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (1 if place % 2 else 2)
        total += value - 9 * (value > 9)
    number = body + str(-total % 10)
    cuts = {15: (4, 10), 14: (4, 10)}.get(length, tuple(range(4, length, 4)))
    mark = draw.choice(["", "", " ", " ", "-"])
    edges = [0, *cuts, length]
    return mark.join(number[a:b] for a, b in pairwise(edges))


_STRUCTURES = _list(
    "AD8#12c AE19# AL8#16c AT16# AZ4U20c BA16# BE12# BG4U6#8c BH4U14c BR23#1U1c CH5#12c CR18# "
    "CY8#16c CZ20# DE18# DK14# DO4c20# EE16# EG25# ES20# FI14# FR10#11c2# GB4U14# GE2U16# GI4U15c "
    "GR7#16c GT24c HR17# HU24# IE4U14# IL19# IS22# IT1U10#12c JO4U4#18c KW4U22c KZ3#13c LI5#12c "
    "LT16# LU3#13c LV4U13c MC10#11c2# MD20c ME18# MT4U5#18c NL4U10# NO11# PK4U16c PL24# PS4U21c "
    "PT21# QA4U21c RO4U16c RS18# SA2#18c SE20# SI15# SK20# SM1U10#12c TN20# TR6#16c UA6#19c "
    "VG4U16# XK16#"
)
"""Country and national number of each: how many digits, capitals (U), capitals or digits (c)."""


def iban(draw: Draw) -> str:
    """A number of any country, as printed or as sent."""
    structure = draw.choice(_STRUCTURES)
    country = structure[:2]
    letters = {"#": string.digits, "U": _CAPITALS, "c": _CAPITALS + string.digits}
    parts = re.findall(r"(\d+)(\D)", structure[2:])
    body = "".join(word(draw, int(size), letters[of]) for size, of in parts)
    remainder = int("".join(str(int(c, 36)) for c in f"{body}{country}00")) % 97
    number = f"{country}{98 - remainder:02d}{body}"
    printed = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    return draw.choice([number, printed])


def ssn(draw: Draw) -> str:
    """A number that was or will be given out, with hyphens."""
    area = draw.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03d}-{draw.randrange(1, 100):02d}-{draw.randrange(1, 10_000):04d}"


def base64_of(draw: Draw, size: int) -> str:
    """That many random bytes."""
    return base64.b64encode(draw.randbytes(size)).decode()


_HEX = "0123456789abcdef"
_URL = _ALPHANUMERIC + "-_"


def key(draw: Draw) -> str:
    """A key of a vendor, in the form that it publishes."""
    one = draw.choices(_KEYS, [weight for *_, weight in _KEYS])[0]
    prefix, letters, size, suffix, _ = one
    return prefix + word(draw, size, letters) + suffix


_KEYS = (
    ("AKIA", _CAPITALS + "234567", 16, "", 8),
    ("ASIA", _CAPITALS + "234567", 16, "", 2),
    ("ghp_", _ALPHANUMERIC, 36, "", 8),
    ("gho_", _ALPHANUMERIC, 36, "", 2),
    ("ghs_", _ALPHANUMERIC, 36, "", 2),
    ("github_pat_11", _CAPITALS + string.digits, 20, "_" + "h7Gq" * 14 + "Zx3", 4),
    ("glpat-", _URL, 20, "", 4),
    ("glrt-", _URL, 20, "", 1),
    ("xoxb-", string.digits, 12, "-1834567890123-Qm9vZ2llV29vZ2llTGFtcHMx", 4),
    ("xoxp-", string.digits, 12, "-998877665544-112233445566-" + "9af3" * 8, 2),
    ("xapp-1-A0", _CAPITALS + string.digits, 9, "-5123456789012-" + "ab12" * 16, 1),
    ("sk_live_", _ALPHANUMERIC, 24, "", 4),
    ("rk_live_", _ALPHANUMERIC, 99, "", 1),
    ("whsec_", _ALPHANUMERIC, 32, "", 1),
    ("AIza", _URL, 35, "", 6),
    ("ya29.", _URL, 120, "", 2),
    ("GOCSPX-", _URL, 28, "", 2),
    ("sk-proj-", _URL, 74, "T3BlbkFJ" + "x9_Q" * 18, 4),
    ("sk-", _ALPHANUMERIC, 20, "T3BlbkFJ" + "aZ09b" * 4, 3),
    ("sk-ant-api03-", _URL, 93, "AA", 3),
    ("hf_", string.ascii_letters, 34, "", 4),
    ("npm_", _ALPHANUMERIC, 36, "", 3),
    ("pypi-AgEIcHlwaS5vcmc", _URL, 120, "", 3),
    ("SG.", _URL, 22, "." + "k3_Z9" * 8 + "abc", 3),
    ("dop_v1_", _HEX, 64, "", 2),
    ("doo_v1_", _HEX, 64, "", 1),
    ("dckr_pat_", _URL, 27, "", 2),
    ("hvs.", _URL, 90, "", 2),
    ("glsa_", _ALPHANUMERIC, 32, "_1a2b3c4d", 1),
    ("shpat_", _HEX, 32, "", 2),
    ("dapi", _HEX, 32, "", 2),
    ("ATATT3xFfGF0", _URL, 180, "", 2),
    ("lin_api_", _ALPHANUMERIC, 40, "", 1),
    ("NRAK-", _CAPITALS + string.digits, 27, "", 1),
    ("PMAK-", _HEX, 24, "-" + "0f1e" * 8 + "ab", 1),
    ("ntn_", _ALPHANUMERIC, 46, "", 1),
    ("figd_", _URL, 40, "", 1),
    ("dp.pt.", _ALPHANUMERIC, 43, "", 1),
    ("pscale_tkn_", _URL, 43, "", 1),
    ("gsk_", _ALPHANUMERIC, 52, "", 1),
    ("r8_", _ALPHANUMERIC, 37, "", 1),
    ("xai-", _ALPHANUMERIC, 80, "", 1),
    ("sbp_", _HEX, 40, "", 1),
    ("key-", _HEX, 32, "", 1),
    ("AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58, "", 1),
)
"""How each begins, what follows, how many, how it ends, and its weight: what is common is so here."""


def private_key(draw: Draw) -> str:
    """A private key as tools write it: PKCS#1, PKCS#8, SEC 1, OpenSSH, OpenPGP."""
    name = draw.choice(["RSA ", "EC ", "DSA ", "OPENSSH ", "", "ENCRYPTED ", "PGP "])
    block = " BLOCK" if name == "PGP " else ""
    width = draw.choice([64, 70, 76])
    body = base64_of(draw, draw.choice([48, 121, 384, 1192]))
    lines = [body[at : at + width] for at in range(0, len(body), width)]
    if name == "PGP ":
        lines = ["Version: GnuPG v2", "", *lines, "=" + base64_of(draw, 3)]
    elif name == "RSA " and draw.random() < 0.3:
        lines = ["Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0A1B2C3D4E5F6071", "", *lines]
    head, foot = (f"-----{end} {name}PRIVATE KEY{block}-----" for end in ("BEGIN", "END"))
    return "\n".join([head, *lines, foot])


def url_account(draw: Draw) -> tuple[str, str]:
    """A URL with an account in it, and the account."""
    user = draw.choice(["deploy", "svc_reports", "root", "ci-bot", "app", "jenkins", "postgres"])
    password = draw.choice(
        [word(draw, 16), word(draw, 10) + "%21", "Winter" + word(draw, 4, string.digits), "hunter2"]
    )
    scheme, host = draw.choice(
        [
            ("postgres", "pg-3.internal:5432/billing?sslmode=require"),
            ("mysql+pymysql", "10.20.1.4/shop"),
            ("https", "registry.corp.lan/v2/"),
            ("amqps", "mq.eu-west-1.corp.net:5671/%2F"),
            ("rediss", "cache.prod:6380/0"),
            ("sftp", "files.partner.org/in"),
            ("mongodb", "m1.corp.net,m2.corp.net/admin?replicaSet=rs0"),
            ("smtp", "mail.corp.net:587"),
            ("ldaps", "dc1.corp.net"),
        ]
    )
    account = f"{user}:{password}"
    return f"{scheme}://{account}@{host}", account
