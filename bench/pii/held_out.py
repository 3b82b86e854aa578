"""Documents with private data in them, and documents of what only looks like it.

The patterns of Cupola were not made from these: logs, mails, configuration, source code, chat, tables
and forms. What lies around a finding is meant to mislead: times, versions, hashes, identifiers.
"""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import values
from values import Draw, fill, word

from cupola_api.dataset import PiiKind


class Document(NamedTuple):
    """A text and the one private thing in it; of what only looks like it, neither."""

    text: str
    kind: PiiKind | None = None
    value: str = ""


_ANY = (
    # chat
    "[14:02] <kai> ok so use {}\n[14:02] <ana> k thx",
    "*Ravi* 9:41 AM\nhere you go: {}\n:+1: 2",
    "12/03/2021, 19:05 - Mum: it's {} dear",
    # tables
    "id,created,value,ok\n{n},2021-11-05T08:12:44Z,{},true\n",
    "{n}\t{u}\t{}\tNULL\t0\n",
    '"{n}";"{}";"2020-02-29";"12,50"',
    "| ref | value |\n|-----|-------|\n| {n} | {} |",
    # markup and records
    "<Item seq='{n}'><Val>{}</Val></Item>",
    '{{"v":"1.4.2","id":"{u}","value":"{}"}}',
    "- ref: {n}\n  value: {}\n  sha: {h}\n",
    "<li><b>Ref {n}</b>: {}</li>",
    r"\item \texttt{{{}}} (v2.3.1)",
    # source code and configuration
    "INSERT INTO t VALUES ({n}, '{}', now());",
    'var x{n} = "{}"; // build {h}',
    "value = {}\nretries = 3\n",
    "    assert parse('{}') is not None  # issue {n}",
    "# {}\nset -euo pipefail\n",
    # prose of letters
    "Hi both,\nas discussed ({}), see ticket {n}.\nBest, Lena",
    "> did you mean {}?\nyes",
    "Ref. {n}: {}. Thank you.",
)
_EMAIL = (
    "From: Lena Fischer <{}>\nDate: Tue, 5 Nov 2019 10:11:12 +0100\nSubject: Re: v1.2.3.4",
    "Author: L Fischer <{}>\nDate:   Mon Mar 1 12:00:01 2021 +0000",
    "postfix/smtp[{n}]: 4F2A71: to=<{}>, relay=none, delay=0.41, status=deferred",
    '<a href="mailto:{}?subject=Hello">write</a>',
    'authors = [{{name = "L", email = "{}"}}]',
    "/docs/  @org/docs {}",
    "Signed-off-by: Lena <{}>",
    "BEGIN:VCARD\nVERSION:3.0\nEMAIL;TYPE=INTERNET:{}\nEND:VCARD",
    "ServerAdmin {}",
    "ORGANIZER;CN=Lena:MAILTO:{}",
    "user_email={}&plan=2",
    "login failed for '{}' (attempt 3)",
)
_PHONE = (
    "BEGIN:VCARD\nTEL;TYPE=CELL:{}\nEND:VCARD",
    "[12/03/21, 14:22:05] {}: Ok see you",
    '<a href="tel:{}">call</a>',
    "SIP/{n}: incoming from {} (codec G.711)",
    "Lena Fischer | Head of Sales | {} | www.acme.de",
    "to={}&body=Your+code+is+{n}",
)
_LABELLED = (
    "{label}: {}",
    "{label} {}",
    "{label}. {}",
    '"{label}": "{}"',
    "{label}\t{}\n",
    "{label}：{}",  # noqa: RUF001
)
_IP = (
    '{} - frank [10/Oct/2020:13:55:36 -0700] "GET /v1.2.3/x HTTP/1.1" 200 512 "-" "curl/7.68.0"',
    "sshd[{n}]: Invalid user admin from {} port 40022",
    "Received: from mx.acme.de (mx.acme.de [{}]) by mail (Postfix) id 4F2A71",
    "v=spf1 ip4:{} -all",
    "www 3600 IN A {}",
    "{}\tbuild-host build\n",
    "kernel: IN=eth0 OUT= SRC={} DST=10.0.0.5 LEN=40 TTL=244",
    "2021-03-04 05:06:07,089 fail2ban.actions [{n}]: NOTICE [sshd] Ban {}",
    "Nmap scan report for {}\nHost is up (0.012s latency).",
    "PING {} ({}) 56(84) bytes of data.",
    " 3  ae-1.r01.acme.net ({})  12.345 ms  12.1 ms",
    'HOST = "{}"\nPORT = 8080',
    "upstream app {{ server {}:8080; }}",
    "ssh deploy@{}",
    '{{"client_ip": "{}", "ua": "Firefox/115.0"}}',
    "curl http://{}:9200/_cat/health",
    "haproxy[{n}]: {}:53412 [04/Mar/2021:05:06:07.089] web app/s1 0/0/1/2/3 200",
    "connect to {}: Connection refused (111)",
    "iptables -A INPUT -s {} -j DROP",
    "remote_addr={} request_time=0.003",
    "endpoint: {}\nallowedIPs: 10.8.0.0/24",
    "Peer {} reset (epoch 1614834367)",
)
_IP6 = (
    '{} - - [10/Oct/2020:13:55:36 -0700] "GET / HTTP/2" 304 0',
    "www 3600 IN AAAA {}",
    "    inet6 {}/64 scope global dynamic",
    "sshd[{n}]: Connection closed by {} port 40022 [preauth]",
    "http://[{}]:8080/status",
    "ip -6 route add default via {}",
    '"remoteAddress":"{}"',
    "Received: from mx.acme.de ([IPv6:{}]) by mail",
)
_CARD = (
    '{{"pan":"{}","exp":"2704","amount":1999}}',
    "PAN={} RC=00 STAN={n}",
    "VISA/MC: {} (exp 11/26)",
    "card number {} was declined",
    "booking {n}, guaranteed with {}, CVC on file",
    "Kreditkarte: {}",
    "no de tarjeta {}",
    "DE2 {} DE3 000000 DE4 000000001999",
    "kart no: {}",
)
_IBAN = (
    "<DbtrAcct><Id><IBAN>{}</IBAN></Id></DbtrAcct>",
    "Bankverbindung: IBAN {}, BIC GENODEM1GLS",
    ":59:/{}\nACME GMBH",
    "Bitte überweisen Sie 120,00 EUR auf {} bis 30.11.",
    "IBAN={};amount=12.50",
    "RIB / IBAN : {}",
    "konto: {}",
    "Creditor account {} (SEPA)",
)
_SSN = (
    "Employee's social security number {}  Wages 48,211.04",
    "PID|1||{n}^^^MR||DOE^JANE||19700101|F|||||||||||{}",
    "SS# {}",
    "SSN (last known): {}",
    "ssn: '{}'",
    "Soc. Sec. No.: {}",
    "taxpayer {} filed 1040 on 04/15/2019",
    "dob=1970-01-01 ssn={} zip=12345-6789",
)
_BARE_SSN = (
    "SSN {}",
    "Social Security No. {}",
    "ssn={}",
    '"ssn":"{}"',
    "SOCIAL SECURITY NUMBER: {}",
)
_KEY = (
    "export TOKEN={}",
    "  password: {}",
    "Authorization: Bearer {}",
    "-H 'X-Api-Key: {}' https://api.acme.io/v2.1",
    '"token": "{}"',
    "client = Client(key='{}')",
    "TOKEN={} npm publish",
    "//registry.corp.lan/:_authToken={}",
    "oops I pushed {} to main",
    "ENV KEY {}",
    "https://api.acme.io/hook?token={}&v=2",
    "secret/data/app  token  {}",
)


def _placed(draw: Draw, form: str, value: str, label: str = "") -> str:
    """The form with the value in it, and numbers, hashes and identifiers."""
    facts = {
        "n": str(draw.randrange(100, 100_000)),
        "h": word(draw, draw.choice([7, 12, 40, 64]), "0123456789abcdef"),
        "u": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        "label": label,
    }
    return form.format(*[value] * form.count("{}"), **facts)


def _phone(draw: Draw) -> tuple[str, str]:
    way = draw.random()
    if way < 0.4:
        label, value = values.national(draw)
        return _placed(draw, draw.choice(_LABELLED), value, label), value
    value = fill(draw, draw.choice(values.INTERNATIONAL if way < 0.8 else values.AMERICAN))
    return _placed(draw, draw.choice(_ANY + _PHONE * 3), value), value


def _ip(draw: Draw) -> tuple[str, str]:
    six = draw.random() < 0.3
    value = values.ipv6(draw) if six else values.ipv4(draw)
    return _placed(draw, draw.choice(_IP6 if six else _IP), value), value


def _ssn(draw: Draw) -> tuple[str, str]:
    value = values.ssn(draw)
    if draw.random() < 0.2:
        value = value.replace("-", draw.choice(["", " "]))
        return _placed(draw, draw.choice(_BARE_SSN), value), value
    return _placed(draw, draw.choice(_ANY + _SSN * 3), value), value


def _secret(draw: Draw) -> tuple[str, str]:
    way = draw.random()
    if way < 0.15:
        value = values.private_key(draw)
        form = draw.choice(
            ["{}\n", 'KEY = """\n{}\n"""\n', "$ cat id\n{}\n$ exit", "<pre>{}</pre>"]
        )
        return _placed(draw, form, value), value
    if way < 0.35:
        url, value = values.url_account(draw)
        form = draw.choice(["DSN={}", "url: {}", 'connect("{}")', "<{}>", "see {} .", "- {}"])
        return _placed(draw, form, url), value
    value = values.key(draw)
    return _placed(draw, draw.choice(_ANY + _KEY * 3), value), value


def planted(seed: int, count: int) -> Iterator[Document]:
    """`count` documents of each kind, with one finding each."""
    draw = random.Random(seed)  # noqa: S311
    plain: Sequence[tuple[PiiKind, Callable[[Draw], str], tuple[str, ...]]] = (
        (PiiKind.EMAIL, values.email, _EMAIL),
        (PiiKind.CREDIT_CARD, values.card, _CARD),
        (PiiKind.IBAN, values.iban, _IBAN),
    )
    framed = (
        (PiiKind.PHONE, _phone),
        (PiiKind.IP_ADDRESS, _ip),
        (PiiKind.SSN, _ssn),
        (PiiKind.SECRET, _secret),
    )
    for _ in range(count):
        for kind, draws, forms in plain:
            value = draws(draw)
            yield Document(_placed(draw, draw.choice(_ANY + forms * 3), value), kind, value)
        for kind, both in framed:
            text, value = both(draw)
            yield Document(text, kind, value)


def _numbers(draw: Draw, form: str) -> str:
    """`form` with each # a digit."""
    return "".join(draw.choice(string.digits) if c == "#" else c for c in form)


_HEX = "0123456789abcdef"
_LOOKALIKES: tuple[Callable[[Draw], str], ...] = (
    lambda d: _numbers(d, "EAN 40#########3, IMEI 35-######-######-#"),
    lambda d: _numbers(d, "UPS 1Z999AA1##########, FedEx ############"),
    lambda d: _numbers(d, "VAT DE#########, GB ### #### ##, FR ##########"),
    lambda d: _numbers(d, "SWIFT COBADEFFXXX, EIN ##-#######, ABA 0########"),
    lambda d: _numbers(d, "CAS 7732-18-5, NDC ####-####-##, ATC N02BE01"),
    lambda d: _numbers(d, "OID 1.3.6.1.4.1.####.#.#, snmp 1.3.6.1.2.1.1.#.0"),
    lambda d: _numbers(d, "docker.io/library/nginx:1.2#.#@sha256:") + word(d, 64, _HEX),
    lambda d: _numbers(d, "    @scope/pkg@2.##.# (via npm@9.#.#)"),
    lambda d: _numbers(d, "git clone git@github.com:org/repo##.git"),
    lambda d: _numbers(d, "C = A@B.T + x@y.reshape(-#, ##)"),
    lambda d: f"ssh-ed25519 {values.base64_of(d, 51)} build",
    lambda d: f"-----BEGIN CERTIFICATE-----\n{values.base64_of(d, 48)}\n-----END CERTIFICATE-----",
    lambda d: f'"integrity": "sha512-{values.base64_of(d, 64)}"',
    lambda d: f"data:image/png;base64,{values.base64_of(d, 90)}",
    lambda d: str(uuid.UUID(int=d.getrandbits(128), version=4)),
    lambda d: ":".join(word(d, 2, _HEX) for _ in range(6)) + " dev eth0",
    lambda d: " ".join(word(d, 4, _HEX) for _ in range(8)) + "  |........|",
    lambda d: f"tweet 1{word(d, 18, string.digits)}, channel 9{word(d, 17, string.digits)}",
    lambda d: _numbers(d, "t=16########.######### dt=##########ns"),
    lambda d: _numbers(d, "20##-1#-0# 0#:##:##.###### -0700 [####]"),
    lambda d: _numbers(d, "Sat, 0# Feb 20## 1#:##:## GMT; 202#-W##-#"),
    lambda d: _numbers(d, "52.#####, 13.##### / 40\u00b0 26' 46\" N 79\u00b0 58' 56\" W"),
    lambda d: _numbers(d, "RA 05h 34m 31.##s, Dec +22\u00b0 00' 52.#\", z = 0.####"),
    lambda d: _numbers(d, "array([-0.########, 1.########e-0#, ###.####])"),
    lambda d: _numbers(d, "ISO 9001:2015, IEC 61508-#, DIN 4102-#, RFC 79##"),
    lambda d: _numbers(d, "pp. ###-###, 19##-20##, vol. ## (#), doi:10.1###/j.####.20##.0#.0##"),
    lambda d: _numbers(d, "ISBN 978-3-16-14841#-#, 0-306-40615-#, ISSN 03##-59##"),
    lambda d: _numbers(d, "ZIP #####-####, P.O. Box ####, lot 12-###-##"),
    lambda d: _numbers(d, "part no. ###-####-## rev 1.#.#, S/N ####-####-####"),
    lambda d: _numbers(d, "order 1##-#######-####### total 1,###.##"),
    lambda d: _numbers(d, "mov eax, 0x") + word(d, 8, _HEX) + "; std::vector::size_type n",
    lambda d: _numbers(d, "at 2#:3#:1#:0# frame ####, 16:9, 4:2:0"),
    lambda d: _numbers(d, "Chrome/9#.0.4###.1## Safari/537.36 Edg/9#.0.1###.##"),
    lambda d: _numbers(d, "libfoo (= 1.##.#.#-#ubuntu#.#), v10.#.##.#-rc#"),
    lambda d: _numbers(
        d, "listen 127.0.0.1:80##; allow 192.168.#.##; deny 10.#.#.#; 198.51.100.##"
    ),
    lambda d: _numbers(d, "2001:db8::#:#, fe80::1ff:fe23:####:####%eth0, ::1"),
    lambda d: _numbers(d, "netmask 255.255.24#.0"),
    lambda d: _numbers(d, "call 555-01##, +1-202-555-01## (fiction), press 1-2-3"),
    lambda d: _numbers(d, "user##@example.com, root@localhost, you@company.example"),
    lambda d: f"AKIA{word(d, 9, string.ascii_uppercase)}EXAMPLE, sk_test_{word(d, 24)}",
    lambda d: "postgres://user:password@localhost/db, https://${USER}:${TOKEN}@host/",
    lambda d: _numbers(d, "SELECT * FROM t WHERE id BETWEEN 1######### AND 1#########;"),
    lambda d: _numbers(d, "int k[] = {4#######, 0x7fff####, ##########L};"),
    lambda d: _numbers(d, "Kontonummer ######### BLZ ########, Kd.-Nr. 12-####-##"),
    lambda d: _numbers(d, "1-0 21. Nf3 (2###) 4-6 6-3 7-6 (7-#)"),
    lambda d: _numbers(d, "+#.##% (+1,2##,###), \u00b1 0.00#, -1 234 567,##"),
    lambda d: _numbers(d, "phonemes 44, hotelroom 2#1, telemetry 12.3.4.#"),
    lambda d: _numbers(d, "Section 1#.2.3.#, Fig. 4.1.2.#, \u00a7 12.1.1.#"),
)


def lookalikes(seed: int, count: int) -> Iterator[Document]:
    """`count` documents of each form, with nothing private."""
    draw = random.Random(seed)  # noqa: S311
    for _ in range(count):
        for made in _LOOKALIKES:
            yield Document(made(draw))
