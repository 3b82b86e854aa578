"""What is often taken for private data: code, versions, hashes, times, books, places."""

from __future__ import annotations

import base64
import random
import string
import uuid
from collections.abc import Callable

from .generator import digits, word


def hard_negatives(seed: int, count: int) -> list[str]:
    """`count` texts of each form of what is often taken for private data."""
    draw = random.Random(seed)
    digit = string.digits
    hexes = string.hexdigits[:16]
    forms: list[Callable[[], str]] = [
        lambda: (
            f"numpy=={draw.randrange(9)}.{draw.randrange(30)}.{draw.randrange(30)}.{draw.randrange(9)}"
        ),
        lambda: f"Version {digits(draw, '1#.#.7##.#')} (build {digits(draw, '####')})",
        lambda: f"Mozilla/5.0 (X11) Chrome/{digits(draw, '1##.0.####.###')} Safari/537.36",
        lambda: f"sha256:{word(draw, 64, hexes)}",
        lambda: f"commit {word(draw, 40, hexes)}",
        lambda: f"md5 {word(draw, 32, hexes)}  file-{digits(draw, '##')}.tar.gz",
        lambda: f"id = '{uuid.UUID(int=draw.getrandbits(128))}'",
        lambda: f"ISBN 978-{digits(draw, '#-##-######-#')}",
        lambda: f"ISBN-10: {digits(draw, '#-###-#####-#')}",
        lambda: f"ISSN {digits(draw, '####-####')}, doi:10.{digits(draw, '####/######')}",
        lambda: f"arXiv:{digits(draw, '2###.#####')}v2, pages {digits(draw, '1###-1###')}",
        lambda: f"{digits(draw, '20##-0#-1#T1#:##:##.######+00:00')}",
        lambda: (
            f"{digits(draw, '20##-0#-1# 1#:##:##,###')} INFO started in {digits(draw, '#.###')} s"
        ),
        lambda: f"timestamp {digits(draw, '16########')} or in ms {digits(draw, '16###########')}",
        lambda: f"({digits(draw, '4#.######')}, -{digits(draw, '12#.######')})",
        lambda: f"{digits(draw, '4#')}°{digits(draw, '1#')}'{digits(draw, '2#.#')}\"N 2°10'26\"E",
        lambda: f"x = np.array([{', '.join(digits(draw, '0.########') for _ in range(4))}])",
        lambda: f"return q@k.T / math.sqrt({digits(draw, '##')})",
        lambda: f"y = x@self.weights[{draw.randrange(9)}] + b@w.mean(dim=-1)",
        lambda: f"@app.route('/users/<int:id>')\ndef show{draw.randrange(9)}(id): ...",
        lambda: f"@pytest.mark.parametrize('n', [{digits(draw, '1##, 2###, 3####')}])",
        lambda: f"assert total == {digits(draw, '1###############')}",
        lambda: f"MASK = 0x{word(draw, 16, hexes)}",
        lambda: f"for i in range({digits(draw, '1###')}): a[i:i+4] += b[{draw.randrange(9)}::2]",
        lambda: f"std::vector<std::array<int, {draw.randrange(9)}>> a::b::c",
        lambda: (
            f"the score was {digits(draw, '1#-#')}, {digits(draw, '2#-1#')} and {digits(draw, '#-#')}"
        ),
        lambda: f"in {digits(draw, '19##-19##')}, see pp. {digits(draw, '2##-3##')}",
        lambda: f"order no. {digits(draw, '1##-#######-#######')}",
        lambda: f"part number {digits(draw, '7##-###-###')}-B",
        lambda: f"SKU {digits(draw, '####-##-###')}, {digits(draw, '#,###,###.##')} EUR",
        lambda: (
            f"192.168.{draw.randrange(256)}.{draw.randrange(256)} or 10.0.{draw.randrange(256)}.1"
        ),
        lambda: (
            f"see section {draw.randrange(9)}.{draw.randrange(20)}.{draw.randrange(9)}.{draw.randrange(9)}"
        ),
        lambda: f"OID 1.3.6.1.4.1.{digits(draw, '####')}.{draw.randrange(9)}",
        lambda: f"pi is 3.{word(draw, 30, digit)}",
        lambda: f"MAC 00:1A:{':'.join(word(draw, 2, hexes) for _ in range(4))}",
        lambda: (
            f"at {digits(draw, '1#:##:##')} and {digits(draw, '2#:##')}, lap {digits(draw, '1:##.###')}"
        ),
        lambda: f"git clone git@github.com:acme/tool{draw.randrange(99)}.git",
        lambda: f"write to user{draw.randrange(99)}@example.com",
        lambda: f"http://localhost:{digits(draw, '8###')}/api?ids={digits(draw, '1####,2####')}",
        lambda: f"image@{draw.randrange(2, 4)}x.png and lodash@{digits(draw, '4.1#.2#')}",
        lambda: f"docker pull acme/app@sha256:{word(draw, 64, hexes)}",
        lambda: f"postgres://user:password@localhost:{digits(draw, '5###')}/db",
        lambda: f"a: {digits(draw, '####')} b: {digits(draw, '####')} c: {digits(draw, '####')}",
        lambda: (
            f"call the function {digits(draw, '1##')} times, phone book of {digits(draw, '19##')}"
        ),
        lambda: f"EAN {digits(draw, '40############')[:13]}",
        lambda: (
            f"DE{digits(draw, '##')} is a road; FLIGHT LH{digits(draw, '####')} GATE B{digits(draw, '##')}"
        ),
        lambda: f"{digits(draw, '1####')} + {digits(draw, '+1#######')} = ?",
        lambda: (
            f"{digits(draw, '+1#.#######')} {digits(draw, '-0.#######')} {digits(draw, '+2#.####')}"
        ),
        lambda: f"population {digits(draw, '1 ### ###')}, area {digits(draw, '3## ###')} km2",
        lambda: f"token = os.environ['API_TOKEN_{draw.randrange(9)}']  # sk-...",
        lambda: f"data:image/png;base64,{base64.b64encode(draw.randbytes(90)).decode()}",
        lambda: f"chr1:{digits(draw, '1########-1########')} rs{digits(draw, '########')}",
        lambda: (
            f"RFC {digits(draw, '2###')}, ISO {digits(draw, '8601-1:20##')}, 29 CFR {digits(draw, '19##.1##')}"
        ),
        lambda: (
            f"{digits(draw, '20##')}.{digits(draw, '0#')}.{digits(draw, '1#')}.{draw.randrange(9)} released"
        ),
    ]
    return [form() for _ in range(count) for form in forms]
