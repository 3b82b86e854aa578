"""The documents of a web archive: pages of a crawl (Warc), or the text that was made of them (Wet)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from cupola_trainer.curate import web_page
from cupola_trainer.curate.packed import Damaged
from cupola_trainer.curate.records import MAX_BYTES, Record, Rejected
from cupola_trainer.curate.warc import Broken, WarcRecord, warc_records

_OK = 200


def wet(path: Path) -> Iterator[Record | Rejected]:
    """The documents of text archives: records of type `conversion`."""
    return _documents(path, {"conversion": _converted})


def warc(path: Path) -> Iterator[Record | Rejected]:
    """The text of the pages of archives: records of type `response`, and pages as `resource`."""
    return _documents(path, {"response": _response, "resource": _resource})


def _documents(
    path: Path, wanted: dict[str, Callable[[WarcRecord, bytes], str | None]]
) -> Iterator[Record | Rejected]:
    for found in warc_records(path):
        place = f"record {found.number}"
        if isinstance(found, Broken):
            yield Rejected(found.rule, place=place, detail=found.why, rest=found.rest)
            continue
        take = wanted.get(found.headers.get("warc-type", "").lower())
        if take:
            yield _document(found, place, take)


def _document(
    found: WarcRecord, place: str, take: Callable[[WarcRecord, bytes], str | None]
) -> Record | Rejected:
    if found.content is None:
        return Rejected("too-large", place=place)
    try:
        text = take(found, found.content)
    except Damaged as error:
        return Rejected(error.rule, place=place, detail=str(error))
    except _NotFetched:
        return Rejected("not-fetched")
    if text is None:
        return Rejected("not-text")
    if "\0" in text:
        return Rejected("nul", place=place)
    if len(text.encode(errors="replace")) > MAX_BYTES:
        return Rejected("too-large", place=place)
    if not text.strip():
        return Rejected("empty")
    url = found.headers.get("warc-target-uri", "").strip("<>")
    return Record(text, url=url, date=found.headers.get("warc-date", ""))


class _NotFetched(Exception):
    """The server answered with something else than the page."""


def _converted(found: WarcRecord, content: bytes) -> str | None:
    del found
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Damaged("invalid-utf8", "it is not UTF-8") from error


def _response(found: WarcRecord, content: bytes) -> str | None:
    del found
    answer = web_page.answer_of(content)
    if answer.status != _OK:
        raise _NotFetched
    return web_page.text_of(web_page.body_of(answer), answer.headers.get("content-type", ""))


def _resource(found: WarcRecord, content: bytes) -> str | None:
    kind = found.headers.get("content-type", "")
    return web_page.text_of(content, kind or "application/octet-stream")
