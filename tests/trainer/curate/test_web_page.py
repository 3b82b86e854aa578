"""From what servers answer to the text of their pages."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_api.dataset import Source
from cupola_trainer.curate.packed import Damaged
from cupola_trainer.curate.records import MAX_BYTES, Record, Rejected, read
from cupola_trainer.curate.web_page import DEPTH, answer_of, body_of, decoded_text, text_of

from .archives import HTML, answer, page, record, write


def chunked(body: bytes, size: int = 7) -> bytes:
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


PACKERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
}


@pytest.mark.parametrize("coding", PACKERS)
@pytest.mark.parametrize("transfer", ["", "chunked"])
def test_bodies_are_unpacked_as_they_were_sent_and_left_as_they_are_if_they_are_not(
    coding: str, transfer: str
) -> None:
    sent = PACKERS[coding](HTML)
    for body in (chunked(sent) if transfer else sent, HTML):
        got = answer_of(answer(body, Content_Encoding=coding, Transfer_Encoding=transfer))
        assert body_of(got) == HTML
    for bad, rule in ((sent[:-5], "cut-short"), (sent[:40] + b"\xff" * 60 + sent[100:], "corrupt")):
        with pytest.raises(Damaged) as caught:
            body_of(answer_of(answer(bad, Content_Encoding=coding)))
        assert caught.value.rule == rule or coding == "br"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_a_body_that_grows_without_end_is_not_unpacked(coding: str) -> None:
    bomb = PACKERS[coding](bytes(3 * MAX_BYTES))
    with pytest.raises(Damaged, match="its body grows to more than") as caught:
        body_of(answer_of(answer(bomb, Content_Encoding=coding)))
    assert caught.value.rule == "bomb"


def test_chunks_that_end_too_early_are_broken() -> None:
    got = answer_of(answer(chunked(HTML)[:-20], Transfer_Encoding="chunked"))
    with pytest.raises(Damaged, match="not in whole chunks"):
        body_of(got)


def test_what_is_no_answer_is_broken() -> None:
    for content in (b"", b"<html>", b"HTTP/1.1 200 OK\r\nX: y", b"GET / HTTP/1.1\r\n\r\n"):
        with pytest.raises(Damaged, match="no answer of HTTP"):
            answer_of(content)


WORDS = "Grüße aus Köln"
CYRILLIC = "Чугун плавят в вагранке, которая стоит на литейном дворе завода."


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (WORDS.encode(), "text/html", WORDS),
        (WORDS.encode(), "text/html; charset=iso-8859-1", WORDS),  # a wrong header
        (WORDS.encode("latin-1"), "text/html; charset=ISO-8859-1", WORDS),
        (WORDS.encode("latin-1"), "text/html; charset=none-such", WORDS),
        (b"\xff\xfe" + WORDS.encode("utf-16-le"), "text/html", WORDS),
        (b"\xef\xbb\xbf" + WORDS.encode(), "text/html", WORDS),
        (CYRILLIC.encode("cp1251"), 'text/html; charset="windows-1251"', CYRILLIC),
        (CYRILLIC.encode("cp1251"), "text/html", CYRILLIC),
        (
            b'<meta charset="shift_jis">' + "鋳鉄".encode("shift_jis"),
            "text/html",
            '<meta charset="shift_jis">鋳鉄',
        ),
    ],
)
def test_characters_are_those_of_the_author(body: bytes, content_type: str, text: str) -> None:
    assert decoded_text(body, content_type) == text


def test_the_text_is_the_main_content() -> None:
    text = text_of(HTML % b"Iron", "text/html; charset=utf-8")
    assert text is not None
    assert text.startswith("Iron\n\nA paragraph that is the main content of the page")
    assert not {"script", "Home", "About", "Imprint"} & set(text.split())


def test_other_types_are_no_text_and_plain_text_is_itself() -> None:
    assert text_of(b"\x89PNG", "image/png") is None
    assert text_of(b"a < b", "text/plain") == "a < b"
    assert text_of(b"<p>x</p>", "") == "x"


def test_a_page_that_is_nested_too_deep_or_too_large_is_not_looked_at() -> None:
    deep = b"<div>" * (DEPTH + 1) + b"x"
    with pytest.raises(Damaged) as caught:
        text_of(deep, "text/html")
    assert caught.value.rule == "too-deep"
    assert text_of(b"<div>x</div>" * (DEPTH + 1), "text/html")
    with pytest.raises(Damaged) as caught:
        text_of(b"x" * (2 * MAX_BYTES + 1), "text/html")
    assert caught.value.rule == "too-large"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([b"<p>", b"</p>", b"<table>", b"<!--", b"<div", b">", b"&#0;", b"\0"]),
            st.binary(max_size=8),
        ),
        max_size=30,
    )
)
def test_whatever_a_page_holds_something_is_said(parts: list[bytes]) -> None:
    assert isinstance(text_of(b"".join(parts), "text/html"), str)


def of(path: Path, form: str) -> list[Record | Rejected]:
    return list(read(path, Source(name="web", uri="file:///data", format=form), None))


def test_a_page_is_a_document_with_its_address_and_date(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.warc.gz",
        [
            record("warcinfo", b"x"),
            record("request", b"GET / HTTP/1.1\r\n\r\n"),
            page(1),
            record("response", answer(b"gone", "404 Not Found")),
            record("response", answer(b"GIF", Content_Type="image/gif")),
            record("response", answer(b"<p> </p>")),
            record("response", b"no answer"),
            record("resource", b"<p>A page.</p>", Content_Type="text/html"),
            record("resource", b"\x00\x01"),
        ],
    )
    first, *others = of(path, "Warc")
    assert isinstance(first, Record)
    assert first.text.startswith("Page 1\n\nA paragraph")
    assert (first.url, first.date) == ("https://example.org/1", "2026-01-02T03:04:05Z")
    assert [one.rule if isinstance(one, Rejected) else one.text for one in others] == [
        "not-fetched",
        "not-text",
        "empty",
        "broken-record",
        "A page.",
        "not-text",
    ]
    broken = others[3]
    assert isinstance(broken, Rejected)
    assert broken.place == "record 7"


def test_a_text_archive_gives_its_texts(tmp_path: Path) -> None:
    text = "Zeile 1\nZeile 2 ß\n".encode()
    path = write(
        tmp_path / "a.warc.wet.gz",
        [
            record("warcinfo", b"x"),
            record("conversion", text, WARC_Target_URI="http://a.de/"),
            record("conversion", b"\xff"),
            record("conversion", b"a\0b"),
            record("conversion", b" \n"),
            record("conversion", b"x" * (MAX_BYTES + 1)),
        ],
    )
    first, *others = of(path, "Wet")
    assert first == Record(text.decode(), url="http://a.de/", date="2026-01-02T03:04:05Z")
    assert [one.rule for one in others if isinstance(one, Rejected)] == [
        "invalid-utf8",
        "nul",
        "empty",
        "too-large",
    ]
