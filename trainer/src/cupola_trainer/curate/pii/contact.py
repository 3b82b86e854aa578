"""How to reach a person: email addresses and telephone numbers."""

from __future__ import annotations

from cupola_api.dataset import PiiKind
from cupola_trainer.curate.patterns import pattern
from cupola_trainer.curate.pii.finder import NUMBERS, Finder, Span, digits, stands_alone

_COUNTRIES = (
    "ac ad ae af ag ai al am ao ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt "
    "bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg "
    "er es et eu fi fj fk fm fo fr ga gd ge gf gg gh gi gl gm gn gp gq gr gt gu gw gy hk hn hr ht "
    "hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk "
    "lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne "
    "nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa "
    "sb sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to "
    "tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
_GENERIC = (
    "com org net edu gov mil int info biz name pro coop aero museum jobs mobi travel tel cat asia "
    "xyz online site tech store cloud email app dev page blog shop club top live life world today "
    "group team agency studio design media news network digital solutions services systems "
    "company consulting academy institute university school science health care center community "
    "foundation ngo global social space website work works zone host link one vip fun art london "
    "berlin paris nyc tokyo amsterdam swiss bayern koeln hamburg wien accountants actor adult "
    "africa apartments arab archi army associates attorney auction auto baby bank barcelona "
    "beauty beer bible bike bio boston boutique broker brussels builders business cafe camp "
    "capital careers casa cash catering catholic charity chat church city claims cleaning clinic "
    "clothing coach coffee college cologne computer condos construction contractors cooking cool "
    "country coupons courses credit cruises dance dating deals delivery democrat dental dentist "
    "diamonds diet directory discount doctor dog domains download durban earth eco education "
    "energy engineer engineering enterprises equipment estate eus expert exposed express fail "
    "faith family fans farm fashion film finance financial fish fishing fitness flights florist "
    "flowers football forsale forum frl fund furniture futbol fyi gal gallery game games garden "
    "gay gent gift gifts gives glass gmbh gold golf graphics gratis green gripe guide guitars "
    "guru hair haus healthcare hiphop hockey holdings holiday homes horse hospital hosting hotel "
    "house icu immo immobilien inc industries ink insure international investments irish ist "
    "istanbul jetzt jewelry juegos kim kitchen kiwi kyoto land law lawyer lease legal lgbt "
    "limited limo llc loan loans lol love ltd ltda luxe luxury madrid maison management market "
    "marketing mba melbourne memorial men miami moda moe money monster mortgage moscow movie "
    "music nagoya navy nexus ninja nrw okinawa ooo organic partners party pet pharmacy photo "
    "photography photos physio pics pictures pink pizza plumbing poker press productions promo "
    "properties property pub quebec racing realty recipes rehab reise reisen rent rentals repair "
    "republican restaurant review reviews rich rio rip rocks rodeo ruhr ryukyu saarland sale "
    "salon sarl sbs schule scot security sexy shoes shopping singles ski soccer software solar "
    "soy storage study sucks supplies supply support surf surgery sydney taipei tatar tattoo tax "
    "taxi technology tennis theater theatre tickets tienda tips tires tirol tools tours town toys "
    "trade trading training tube uno vacations vegas ventures vet viajes villas vin vision "
    "vlaanderen vodka vote voting voyage wales webcam wedding wiki win wine wtf yoga yokohama"
)
_TOP_LEVEL = frozenset(_COUNTRIES.split()) | frozenset(_GENERIC.split())
"""Top-level domains that people have addresses in: `x@self.weight` is an expression, not one. Left
out are those that are more often names of attributes (`run`, `fit`, `style`)."""

_RESERVED = (b"example.com", b"example.org", b"example.net")
"""Second-level domains set aside for documentation (RFC 2606); `.example` and the like are no
top-level domains at all."""

_SERVICES = frozenset((b"git", b"noreply", b"no-reply", b"donotreply"))
"""Local parts that no person answers to."""


def _check_email(text: bytes, start: int, end: int) -> Span | None:
    local, domain = text[start:end].lower().split(b"@")
    # A call such as `f(x@w.to(device))` is matrix multiplication.
    if text[end : end + 1] == b"(" or local in _SERVICES:
        return None
    # `ssh://user@host` names an account; a password before the host is a Secret.
    if _IN_URL.search(text[max(0, start - 128) : start]):
        return None
    if domain.rsplit(b".", 1)[1].decode() not in _TOP_LEVEL:
        return None
    if any(domain == r or domain.endswith(b"." + r) for r in _RESERVED):
        return None
    before = text[max(0, start - _LONGEST) : start]
    name = _APOSTROPHE.search(before) if before.endswith(b"'") else None
    return (start - len(before) + name.span(1)[0] if name else start), end


_LONGEST = 64
_APOSTROPHE = pattern(rb"(?:^|[^A-Za-z0-9])((?:[A-Za-z0-9][A-Za-z0-9._+\-]{0,40}[._\-])?[oOdD]')$")
"""`o'brien@`: other letters before an apostrophe begin a string of Python."""


def _american(number: bytes) -> bool:
    """Ten digits that the North American plan can give out, outside 555-01xx (for fiction)."""
    area, exchange, line = number[:3], number[3:6], number[6:]
    if len(number) != 10 or area[0] < ord("2") or exchange[0] < ord("2"):
        return False
    if area[1:] == b"11" or exchange[1:] == b"11":
        return False
    return not (exchange == b"555" and line.startswith(b"01"))


def _without_extension(number: bytes) -> bytes:
    return number.lower().partition(b"x")[0].rstrip(b" e")


def _check_american(text: bytes, start: int, end: int) -> Span | None:
    number = digits(_without_extension(text[start:end]))[-10:]
    alone = stands_alone(text, start, end, not_before=b".-+/")
    return (start, end) if alone and _american(number) else None


def _check_international(text: bytes, start: int, end: int) -> Span | None:
    found = _without_extension(text[start + 1 : end])
    number = digits(found)
    if start and text[start - 1 : start].isalnum():
        return None
    if not stands_alone(text, start + 1, end, not_before=b""):
        return None
    if number[:1] == b"1":
        return (start, end) if _american(number[1:]) else None
    # Without separators it must be as long as most are: `+4294967296` is arithmetic.
    least, most = (8, 15) if len(found) > len(number) else (11, 13)
    return (start, end) if least <= len(number) <= most else None


def _check_named(text: bytes, start: int, end: int) -> Span | None:
    return _check_asked(text, start, end) if _goes_on(text, start, end) else None


def _check_asked(text: bytes, start: int, end: int) -> Span | None:
    number = digits(_without_extension(text[start:end]))
    if _DATE.fullmatch(text[start:end]) or not 7 <= len(number) <= 15:
        return None
    american = len(number) == 10 and number[:1] not in b"01"
    if american and number[3:6] == b"555" and not _american(number):
        return None
    return (start, end) if stands_alone(text, start, end, not_before=b"") else None


def _goes_on(text: bytes, start: int, end: int) -> bool:
    """Whether a number that only a placeholder names is one more of a list: `<PHONE> / 901821`."""
    _, mark, between = text[max(0, start - _REACH) : start].rpartition(b"<PHONE>")
    if not mark or _WORD.search(between):
        return True
    quad = _QUAD.fullmatch(text[start:end]) is not None
    return not quad and _LIST.fullmatch(between) is not None


_REACH = 32
_LIST = pattern(rb"(?i) ?(?:[/|,;]|or|and|oder|und|ou|et|y|o|e) ?")
_QUAD = pattern(rb"\d{1,3}(?:\.\d{1,3}){3}")

_NAMED = (
    "tel|tels|telephone|phone|phones|fax|mobile|mob|cell|cellphone|whatsapp|hotline|handy|mobil|gsm"
    "|tél|téléphone|teléfono|móvil|celular|telefono|telefone|telefon|telefoon|telefax|telefonu"
    "|telefonnummer|telefonnr|rufnummer|mobilnummer|mobiltelefon|tlf|puh|puhelin|telp"
).encode()
"""Words that name a telephone number that follows."""
_NAMED_ELSEWHERE = (
    "[Тт]ел|ТЕЛ|[Тт]елефону?|[Мм]об|[Ττ]ηλ|电话|電話|手机|手機|電話番号|携帯|전화|전화번호"  # noqa: RUF001
    "|휴대폰|휴대전화|연락처"
).encode()
"""The same in other scripts, of which RE2 does not know where words end."""
_WORD = pattern(rb"(?:(?i:\b(?:" + _NAMED + rb")\b)|" + _NAMED_ELSEWHERE + rb")")
_EXTENSION = rb"(?: ?(?:x|ext\.?) ?\d{1,6})?"
_ASKED = (
    rb"(?:call|dial|ring|text|reach|contact)(?: (?:me|us|him|her|them|you))?"
    rb"(?: (?:at|on|under|number|no\.?|now))?:? |\b(?:t|m|f|p|ph)[.:] ?"
    rb"|\b(?:ph|portable|contact no)\b[^0-9\n+(a-z]{0,6}"
)
"""Words after which a number is one only if it is written like one."""
_NATIONAL = (
    rb"\(?0\d{1,4}\)?(?: ?[/\-] ?| |\.)\d{2,8}(?:[ .\-]\d{2,4}){0,3}"
    rb"|0[1-9]\d{7,9}|[6-9]\d{4} \d{5}|[2-9]\d{2} [2-9]\d{2} \d{4}|\d{2} 9?\d{4}-\d{4}"
    rb"|\d{3} \d{3} \d{3}|\d{2} \d{3} \d{2} \d{2}"
)
"""The trunk prefix 0, an area code and groups or none; or as India, America, Brazil, Spain and
Poland write it."""
_IN_URL = pattern(rb"://[^\s/@]*$")
_DATE = pattern(rb"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")

FINDERS = (
    Finder(
        PiiKind.EMAIL,
        pattern(
            rb"[A-Za-z0-9_](?:[A-Za-z0-9._%+\-]{0,62}[A-Za-z0-9_])?"
            rb"@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}\b"
        ),
        _check_email,
        hint=b"@",
    ),
    Finder(
        PiiKind.PHONE,
        pattern(
            rb"\+[1-9]\d{0,2}[ .\-]?(?:\(\d{1,4}\)[ .\-]?)?\d{1,12}(?:[ .\-/]\d{2,8}){0,5}"
            + _EXTENSION
            + rb"\b"
        ),
        _check_international,
        hint=b"+",
    ),
    Finder(
        PiiKind.PHONE,
        pattern(
            rb"(?:(?:00)?1[ .\-])?(?:\([2-9]\d{2}\) ?[2-9]\d{2}[ .\-]\d{4}"
            rb"|[2-9]\d{2}-[2-9]\d{2}-\d{4}|[2-9]\d{2}\.[2-9]\d{2}\.\d{4})" + _EXTENSION + rb"\b"
        ),
        _check_american,
        screen=NUMBERS,
    ),
    Finder(
        PiiKind.PHONE,
        pattern(
            rb"(?:(?i:\b(?:" + _NAMED + rb")\b)|" + _NAMED_ELSEWHERE + rb")"
            rb"[^0-9\n+(]{0,16}([+(]{0,2}\d[\d ()./\-]{5,20}\d" + _EXTENSION + rb")\b"
        ),
        _check_named,
        screen=NUMBERS,
    ),
    Finder(
        PiiKind.PHONE,
        pattern(rb"(?i)\b(?:" + _ASKED + rb")(" + _NATIONAL + rb")\b"),
        _check_asked,
        screen=NUMBERS,
    ),
)
