from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from cupola_operator.kube import journal
from cupola_operator.kube.journal import LogFormat


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    logging.getLogger("cupola_operator").setLevel(logging.NOTSET)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.NOTSET)


def test_a_person_reads_one_line_an_event() -> None:
    text = io.StringIO()
    journal.configure(LogFormat.TEXT, text)
    logging.getLogger("cupola_operator.kube").info("created %s\nand more", "Job a/b")
    logging.getLogger("cupola_operator.kube").debug("not this")
    logging.getLogger("somebody").info("nor this")
    (line,) = text.getvalue().splitlines()
    assert line[10] == "T"
    assert line.endswith("Z INFO    created Job a/b and more")


def test_a_program_reads_json_lines() -> None:
    text = io.StringIO()
    journal.configure(LogFormat.JSON, text)
    logging.getLogger("cupola_operator.kube").warning('it said "no"')
    line = json.loads(text.getvalue())
    assert (line["level"], line["logger"]) == ("warning", "cupola_operator.kube")
    assert line["message"] == 'it said "no"'
    assert set(line) == {"time", "level", "logger", "message"}


def test_an_error_of_ours_keeps_its_traceback() -> None:
    text = io.StringIO()
    journal.configure(LogFormat.JSON, text)
    try:
        raise ValueError("oh")
    except ValueError:
        logging.getLogger("cupola_operator").exception("broken")
    assert "ValueError: oh" in json.loads(text.getvalue())["error"]


def test_the_repetitions_of_kopf_are_not_news() -> None:
    text = io.StringIO()
    journal.configure(LogFormat.TEXT, text)
    logging.getLogger("kopf.clients").error("Request attempt #1/6 failed; will retry: GET …")
    logging.getLogger("kopf.clients").error("something else")
    assert "something else" in text.getvalue()
    assert len(text.getvalue().splitlines()) == 1
