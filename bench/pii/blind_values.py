"""Values for the blind test of private data: each kind in the forms in which people write it.

A function takes a random.Random and returns text in which `mark` encloses what is private.
"""

import base64
import re
import string
import zlib
from random import Random

B62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
URL64 = B62 + "-_"
STD64 = B62 + "+/"
HEX = "0123456789abcdef"


def mark(kind: str, core: str, before: str = "", after: str = "") -> str:
    """Text that is private: `core` must be found; `before` and `after` may be part of the find."""
    return f"\x01{kind}\x02{before}\x03{core}\x04{after}\x05"


def some(r: Random, letters: str, n: int) -> str:
    """N random letters."""
    return "".join(r.choices(letters, k=n))


def digits(r: Random, pattern: str) -> str:
    """The pattern with a digit for each `#`, and one from 2 to 9 for each `N`."""
    return "".join(
        str(r.randint(0, 9)) if c == "#" else str(r.randint(2, 9)) if c == "N" else c
        for c in pattern
    )


FIRST = [
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Emma",
    "Felix",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Karin",
    "Liam",
    "Marta",
    "Nils",
    "Olivia",
    "Pablo",
    "Quentin",
    "Rosa",
    "Samir",
    "Tara",
    "Ugo",
    "Vera",
    "Wei",
    "Xenia",
    "Yusuf",
    "Zoe",
    "Priya",
    "Kenji",
    "Oluwaseun",
    "Fatima",
    "Giulia",
    "Thiago",
    "Sinead",
    "Mehmet",
    "Agnieszka",
    "Jiri",
    "Linh",
    "Noor",
    "Dmitri",
    "Aroha",
]
LAST = [
    "Almeida",
    "Baker",
    "Conti",
    "Dubois",
    "Eriksson",
    "Fischer",
    "Garcia",
    "Huang",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "Okafor",
    "Petrov",
    "Quinn",
    "Rossi",
    "Schneider",
    "Tanaka",
    "Uribe",
    "Varga",
    "Walsh",
    "Xu",
    "Yilmaz",
    "Zimmermann",
    "Patel",
    "Nguyen",
    "Haddad",
    "Kim",
    "Novak",
    "MacLeod",
    "Fernandes",
    "Bakker",
    "Holm",
]
MAILERS = [
    "gmail.com",
    "outlook.com",
    "yahoo.co.uk",
    "web.de",
    "gmx.net",
    "orange.fr",
    "libero.it",
    "protonmail.com",
    "icloud.com",
    "qq.com",
    "mail.ru",
    "hotmail.es",
    "t-online.de",
    "btinternet.com",
    "bigpond.net.au",
    "uol.com.br",
    "seznam.cz",
    "wp.pl",
    "naver.com",
    "fastmail.fm",
]
FIRMS = [
    "northwind-tools",
    "brightacre",
    "lumen4",
    "kestrelworks",
    "oakline",
    "data-harbor",
    "mivolt",
    "tessera",
    "finchley",
    "riverbed-it",
]
ENDINGS = [
    "com",
    "org",
    "net",
    "io",
    "de",
    "co.uk",
    "fr",
    "nl",
    "com.au",
    "dev",
    "health",
    "systems",
    "edu",
    "gov.in",
    "se",
    "ch",
    "it",
    "ca",
    "co.jp",
    "info",
    "museum",
]


def name(r: Random) -> str:
    """A first and a last name."""
    return f"{r.choice(FIRST)} {r.choice(LAST)}"


def host(r: Random) -> str:
    """A domain that is not set aside for examples."""
    return f"{r.choice(FIRMS)}.{r.choice(ENDINGS)}"


def email_text(r: Random) -> str:
    """An address, unmarked."""
    f, la = r.choice(FIRST).lower(), r.choice(LAST).lower()
    local = r.choice(
        [
            f"{f}.{la}", f"{f[0]}{la}", f"{f}_{la}{r.randint(1, 99)}", f"{f}{r.randint(1950, 2009)}", f,
            f"{la}.{f[0]}", f"{f}+{r.choice(['shop', 'lists', 'github'])}", f"{f}-{la}", f"{la}",
            f"{f.title()}.{la.title()}", r.choice(["info", "contact", "billing", "hr", "vorstand"]),
            f"{f[0]}.{la}.{r.choice(['ext', 'jr', 'phd'])}",
        ]
    )  # fmt: skip
    domain = r.choice(
        [
            r.choice(MAILERS),
            r.choice(MAILERS),
            host(r),
            f"{r.choice(['mail', 'cs', 'eu'])}.{host(r)}",
        ]
    )
    address = f"{local}@{domain}"
    return address.upper() if r.random() < 0.02 else address


def email(r: Random) -> str:
    """An e-mail address."""
    return mark("Email", email_text(r))


def email_said(r: Random) -> str:
    """An e-mail address in words, against collectors of addresses."""
    local, domain = email_text(r).split("@")
    at, dot = r.choice([(" [at] ", " [dot] "), (" (at) ", " (dot) "), ("[at]", "."), ("(at)", ".")])
    return mark("Email", local + at + domain.replace(".", dot))


# How numbers are written within a country; only behind a word are they telephone numbers.
NATIONAL = {
    "en": [
        "0161 23# ####", "07803 2#####", "020 73## ####", "07968 1#####", "087 2## ####",
        "01 67# ####", "0412 3## ###", "(02) 92## ####", "021 4## ###", "082 4## ####", "0803 2## ####",
        "0722 4## ###", "(415) N## ####", "212-N##-####", "(312) N##-####", "617.N##.####", "1-800-N##-####",
        "303 N## ####", "98### #####", "0917 5## ####",
    ],
    "de": [
        "0151 2#######", "030 / 2#######", "089/54####", "0170-4######", "(040) 36 ## ## ##", "0664 1######",
        "079 4## ## ##", "0221 94####-##", "044 2## ## ##",
    ],
    "fr": ["06 1# ## ## ##", "01.42.##.##.##", "07 8# ## ## ##", "0612######", "04 72 ## ## ##", "0475 2# ## ##"],
    "es": ["61# ### ###", "91 4## ## ##", "93 2## ## ##", "65# ## ## ##", "55 5### ####"],
    "it": ["347 1######", "06 48#####", "333-2######", "02 7200####", "328 4## ####"],
    "nl": ["06-2#######", "020-62# ## ##", "06 4# ## ## ##", "010 41# ## ##"],
    "pt": ["91# 2## ###", "(11) 98###-####", "(21) 2###-####", "21 3## ## ##"],
}  # fmt: skip
BEFORE = {
    "en": [
        "Phone: ", "Tel ", "Tel: ", "phone number is ", "call me on ", "Mobile: ", "Cell: ", "Fax: ", "my number is ",
        "ring us at ", "text me at ", "WhatsApp: ", "T: ", "Call ", "please telephone ", "Ph. ", "dial ",
    ],
    "de": ["Tel.: ", "Telefon: ", "Tel. ", "Mobil: ", "Handy ", "Fax: ", "telefonisch unter ", "ruf mich an: ", "Telefonnummer "],
    "fr": ["Tél. : ", "Tél: ", "Téléphone : ", "Portable : ", "appelez-moi au ", "joignable au ", "Fax : "],
    "es": ["Tel. ", "Teléfono: ", "Móvil: ", "mi número de teléfono es ", "llámame al ", "Tfno: "],
    "it": ["Tel. ", "Cell. ", "Telefono: ", "cellulare ", "chiamami al "],
    "nl": ["Tel: ", "Telefoon: ", "Mobiel: ", "bel me op ", "telefoonnummer "],
    "pt": ["Telefone: ", "Tel.: ", "Celular: ", "Telemóvel: ", "ligue para "],
}  # fmt: skip
INTERNATIONAL = [
    "+1 415 N## ####", "+1 (212) N##-####", "+1-617-N##-####", "+1312N######", "+44 20 73## ####", "+44 7803 2#####",
    "+44 (0)161 23# ####", "+4479111#####", "+49 30 2#######", "+49 (0) 151 2#######", "+49-89-54####",
    "+491702######", "+33 6 1# ## ## ##", "+3361#######", "+33 (0)1 42 ## ## ##", "+34 61# ### ###",
    "+34 91 4## ## ##", "+39 347 1######", "+39 06 48#####", "+31 6 2#######", "+31-20-62# ####", "+32 475 2# ## ##",
    "+41 79 4## ## ##", "+43 664 1######", "+46 70 2## ## ##", "+47 9## ## ###", "+45 26 ## ## ##", "+358 40 2######",
    "+48 60# ### ###", "+420 602 ### ###", "+351 91# 2## ###", "+353 87 2## ####", "+61 412 3## ###", "+64 21 4## ###",
    "+27 82 4## ####", "+91 98### #####", "+91-98########", "+86 138 #### ####", "+81 90-2###-####", "+82 10-2###-####",
    "+55 11 98### ####", "+52 55 5### ####", "+54 9 11 4### ####", "+65 91## ####", "+852 91## ####", "+7 916 ###-##-##",
    "+90 532 ### ## ##", "+972 54-2##-####", "+971 50 4## ####", "+234 803 ### ####", "+254 722 ### ###",
    "0049 30 2#######", "0033 6 1# ## ## ##", "0044 20 73## ####",
]  # fmt: skip
NORTH_AMERICAN = ["(415) N##-####", "(212) N##-####", "(617)N##-####", "(416) N##-####"]


def dial(r: Random, pattern: str) -> str:
    """A telephone number of the pattern, some with an extension."""
    number = digits(r, pattern)
    while re.search("555|[2-9]11[- .]", number):  # numbers for films, and short ones of services
        number = digits(r, pattern)
    extension = r.choice([" ext. 2##", " x1##", " Ext 4##"])
    if "N##" in pattern and r.random() < 0.08:
        return mark("Phone", number, after=digits(r, extension))
    return mark("Phone", number)


def phone(r: Random) -> str:
    """A telephone number that says itself that it is one."""
    return dial(r, r.choice(INTERNATIONAL if r.random() < 0.85 else NORTH_AMERICAN))


def call(r: Random, language: str, *, word: bool = False) -> str:
    """A telephone number, mostly as it is dialled within the country, behind a label or a `word`."""
    before = r.choice([w for w in BEFORE[language] if (w[0].islower() and ":" not in w) == word])
    if r.random() < 0.25:
        return before + phone(r)
    return before + dial(r, r.choice(NATIONAL[language]))


def ipv4_text(r: Random) -> str:
    """An address of the Internet, unmarked."""
    first = r.choice(
        [23, 31, 45, 52, 62, 77, 81, 88, 91, 94, 109, 134, 141, 151, 178, 185, 188, 193, 212, 217]
    )
    return f"{first}.{r.randint(1, 250)}.{r.randint(0, 255)}.{r.randint(1, 254)}"


def ipv6_text(r: Random) -> str:
    """An address of the Internet, unmarked, written in full or with the zeros left out."""
    net = r.choice(
        [
            "2a00:1450",
            "2600:1f18",
            "2a02:8109",
            "2001:41d0",
            "2003:e5",
            "2804:14c",
            "240e:3a1",
            "2a01:4f8",
        ]
    )
    groups = [f"{r.randint(1, 65535):x}" for _ in range(6)]
    full = net + ":" + ":".join(groups)
    return r.choice(
        [
            full,
            f"{net}:{groups[0]}::{groups[1]}",
            f"{net}:{groups[0]}:{groups[1]}::1",
            f"{net}::{groups[2]}",
            full.upper(),
        ]
    )


def ip(r: Random) -> str:
    """An address of the Internet, mostly IPv4."""
    return mark("IpAddress", ipv4_text(r) if r.random() < 0.65 else ipv6_text(r))


def luhn(body: str) -> str:
    """The body of a card's number with its check digit."""
    total = 0
    for i, c in enumerate(reversed(body)):
        d = int(c) * (2 if i % 2 == 0 else 1)
        total += d - 9 if d > 9 else d
    return body + str(-total % 10)


def card_digits(r: Random) -> str:
    """The digits of a payment card of a big brand."""
    brand = [
        ("4", 16), ("4", 16), ("4", 16), (f"5{r.randint(1, 5)}", 16), (f"5{r.randint(1, 5)}", 16), (str(r.randint(2221, 2720)), 16),
        (r.choice(["34", "37"]), 15), ("6011", 16), ("65", 16), (r.choice(["36", "38", "300"]), 14), ("3530", 16),
        ("62", 16), ("2200", 16), ("6759", 16),
    ]  # fmt: skip
    prefix, length = r.choice(brand)
    return luhn(digits(r, prefix + "#" * (length - 1 - len(prefix))))


def group_card(r: Random, number: str, mark_between: str) -> str:
    """A card's number as it stands on the card."""
    sizes = {14: (4, 6, 4), 15: (4, 6, 5)}.get(len(number), (4, 4, 4, 4))
    parts, at = [], 0
    for size in sizes:
        parts.append(number[at : at + size])
        at += size
    return mark_between.join(parts)


def card(r: Random) -> str:
    """A payment card."""
    return mark("CreditCard", group_card(r, card_digits(r), r.choice([" ", " ", "-", "", ""])))


# Form of the account within a country: `#` a digit, `?` an upper-case letter.
ACCOUNTS = {
    "DE": "#" * 18, "FR": "#" * 10 + "#" * 10 + "?##", "GB": "NWBK" + "#" * 14, "NL": "ABNA0" + "#" * 9, "ES": "#" * 20,
    "IT": "?0" + "#" * 21, "CH": "00" + "#" * 15, "AT": "#" * 16, "BE": "#" * 12, "PL": "#" * 24, "SE": "#" * 20,
    "NO": "#" * 11, "DK": "#" * 14, "FI": "#" * 14, "PT": "#" * 21, "IE": "AIBK" + "#" * 14, "CZ": "#" * 20,
    "TR": "000##0" + "#" * 16, "LU": "00" + "#" * 14, "SA": "80" + "#" * 18, "RO": "BTRL" + "#" * 16, "HU": "#" * 24,
    "GR": "0" + "#" * 22, "AE": "0" + "#" * 18,
}  # fmt: skip


def iban_text(r: Random) -> str:
    """An IBAN with right check digits, without spaces."""
    country = r.choice(list(ACCOUNTS))
    body = "".join(
        some(r, string.digits, 1) if c == "#" else r.choice("KTX") if c == "?" else c
        for c in ACCOUNTS[country]
    )
    number = int("".join(str(int(c, 36)) for c in body + country + "00"))
    return f"{country}{98 - number % 97:02}{body}"


def by_four(text: str) -> str:
    """Text in groups of four, as IBANs are printed."""
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


def iban(r: Random) -> str:
    """An IBAN."""
    text = iban_text(r)
    return mark("Iban", by_four(text) if r.random() < 0.5 else text)


def ssn_text(r: Random) -> str:
    """A social security number that can have been given out, with dashes."""
    area = r.choice([r.randint(1, 665), r.randint(667, 772)])
    return f"{area:03}-{r.randint(1, 99):02}-{r.randint(1, 9999):04}"


def ssn(r: Random) -> str:
    """A social security number with dashes."""
    return mark("Ssn", ssn_text(r))


def ssn_said(r: Random) -> str:
    """A word and a social security number behind it."""
    text = ssn_text(r)
    text = r.choice([text, text, text, text.replace("-", " "), text.replace("-", "")])
    word = r.choice(
        [
            "SSN: ",
            "SSN ",
            "Social Security Number: ",
            "social security number is ",
            "SS# ",
            "Soc. Sec. No. ",
            "social security no. ",
            "SSN# ",
        ]
    )
    return word + mark("Ssn", text)


def crc62(body: str) -> str:
    """The six letters of a check sum that end a key of GitHub and of npm."""
    n, out = zlib.crc32(body.encode()), ""
    for _ in range(6):
        n, digit = divmod(n, 62)
        out = B62[digit] + out
    return out


def key_text(r: Random, *, short: bool = False) -> str:
    """A key in the form that its vendor publishes, unmarked."""
    body = some(r, B62, 30)
    at = [
        "AKIA" + some(r, string.ascii_uppercase + "234567", 16), r.choice(["ghp_", "gho_", "ghs_"]) + body + crc62(body),
        "github_pat_11" + some(r, string.ascii_uppercase + string.digits, 20) + "_" + some(r, B62, 59),
        "glpat-" + some(r, URL64, 20), f"xoxb-{digits(r, '2###########-2############')}-{some(r, B62, 24)}",
        f"xoxp-{digits(r, '2###########-2###########-2############')}-{some(r, HEX, 32)}",
        f"https://hooks.slack.com/services/T{some(r, string.ascii_uppercase + string.digits, 10)}/B{some(r, string.ascii_uppercase + string.digits, 10)}/{some(r, B62, 24)}",
        "sk_live_" + some(r, B62, r.choice([24, 99])), "rk_live_" + some(r, B62, 24), "whsec_" + some(r, B62, 32),
        "AIzaSy" + some(r, URL64, 33), "GOCSPX-" + some(r, URL64, 28), f"sk-{some(r, B62, 20)}T3BlbkFJ{some(r, B62, 20)}",
        f"sk-proj-{some(r, URL64, 74)}T3BlbkFJ{some(r, URL64, 74)}", f"sk-ant-api03-{some(r, URL64, 93)}AA",
        "hf_" + some(r, string.ascii_letters, 34), "npm_" + body + crc62(body), "pypi-AgEIcHlwaS5vcmc" + some(r, URL64, 150),
        f"SG.{some(r, URL64, 22)}.{some(r, URL64, 43)}", "key-" + some(r, HEX, 32),
        f"{digits(r, '7#########')}:AA{some(r, URL64, 33)}",
    ]  # fmt: skip
    return r.choice(at[1:4:2] if short else at)


def key(r: Random) -> str:
    """A key of a vendor."""
    return mark("Secret", key_text(r))


def aws_secret(r: Random) -> str:
    """The secret half of a pair of keys of AWS; the name before it says so."""
    return mark("Secret", some(r, STD64, 40))


def jwt(r: Random) -> str:
    """A signed token that is sent to a server."""
    parts = (
        '{"alg":"HS256","typ":"JWT"}',
        f'{{"sub":"{r.randint(1, 10**9)}","iat":1{some(r, string.digits, 9)}}}',
    )
    head = ".".join(base64.urlsafe_b64encode(p.encode()).decode().rstrip("=") for p in parts)
    return mark("Secret", f"{head}.{some(r, URL64, 43)}")


def url_password(r: Random) -> str:
    """An address of a service with a user and a password in it."""
    user = r.choice(["admin", "app", "root", "svc_report", r.choice(FIRST).lower()])
    word = r.choice(
        [
            some(r, B62, 12),
            some(r, URL64, 16),
            f"{r.choice(LAST)}{r.randint(10, 2024)}!",
            "S3cure" + some(r, B62, 5),
        ]
    )
    scheme = r.choice(
        [
            "postgres",
            "postgresql",
            "mysql",
            "mongodb+srv",
            "redis",
            "amqp",
            "https",
            "ftp",
            "https",
            "smtp",
        ]
    )
    server = r.choice(
        [
            f"db.{host(r)}",
            host(r),
            "10.0.3.7:5432",
            f"{r.choice(FIRMS)}.internal:6379",
            "localhost:5432",
            "postgres",
        ]
    )
    path = r.choice(["main", "", "orders", "team/repo.git"])
    return f"{scheme}://{mark('Secret', f'{user}:{word}')}@{server}/{path}"


def assigned(r: Random) -> str:
    """A random value; the name that it is assigned to says that it is a secret."""
    return mark(
        "Secret",
        r.choice([some(r, B62, 32), some(r, HEX, 40), some(r, B62, 24), some(r, STD64, 43) + "="]),
    )


def password(r: Random) -> str:
    """A password that a person chose; the name before it says so."""
    word = r.choice(["Sommer", "dragon", "Welcome", "Refract", "bluefish", "Trustno", "Manchester"])
    return mark("Secret", word + r.choice(["2019!", "#77x", "_9841", "!23q", "$$2021", "1987"]))


def pem(r: Random, join: str = "\n") -> str:
    """A private key as OpenSSL and OpenSSH write it."""
    label = r.choice(
        [
            "RSA PRIVATE KEY",
            "PRIVATE KEY",
            "EC PRIVATE KEY",
            "OPENSSH PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
        ]
    )
    lines = [some(r, STD64, 64) for _ in range(r.randint(2, 20))] + [some(r, STD64, 38) + "=="]
    return mark("Secret", join.join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"]))
