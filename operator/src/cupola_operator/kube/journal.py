"""The operator's log: one line an event, for a person or as JSON. No object's body is ever in it."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

_KOPF_TRIES = "Request attempt #"
"""Kopf repeats requests, and says so in lines of its own; what comes of it is logged by `watching`."""


class LogFormat(StrEnum):
    """How lines are written."""

    TEXT = "text"
    JSON = "json"


class _Text(logging.Formatter):
    """`2026-11-23T11:04:05Z INFO    created Job default/data-dset-r1-list-a1`."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname:<7} {_message(record)}"
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


class _Json(logging.Formatter):
    """One JSON object a line: time, level, logger, message; error where there is a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(form: LogFormat, stream: TextIO | None = None) -> None:
    """Log to `stream`, standard error by default: ours from INFO, of libraries from WARNING."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(lambda record: not record.getMessage().startswith(_KOPF_TRIES))
    handler.setFormatter(_Json() if form is LogFormat.JSON else _Text())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    logging.getLogger("cupola_operator").setLevel(logging.INFO)
    # Kopf says there that it runs beside the main thread and was told to stop, which is as it should be.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)


def _time(record: logging.LogRecord) -> str:
    time = datetime.fromtimestamp(record.created, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    return record.getMessage().replace("\n", " ")
