"""What could not be read: counted, listed by place and reason without its content, not fatal.

Above a share of the records of a source, or of its files, something is wrong with the source itself.
"""

from __future__ import annotations

import json
from pathlib import Path

from cupola_api.dataset import Source
from cupola_api.errors import plain
from cupola_api.outcome import FailureClass
from cupola_api.run import CurateRun
from cupola_trainer.curate.records import Rejected
from cupola_trainer.curate.tally import Tally
from cupola_trainer.curate.unreadable import LONGEST
from cupola_trainer.pod import PodFailure

FILE = "quarantine.jsonl"
"""Where the list lies, in the folder of a part and in the Dataset."""

_LISTED = 1000
"""Entries of a part, at most; the counts are of all."""
_DETAIL = 160


class Quarantine:
    """The list of one part."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, source: Source, file: str, found: Rejected, tally: Tally) -> None:
        """Count what is broken in a file, and list it if there is room."""
        tally.read += found.count
        tally.quarantined[found.rule] += found.count
        tally.damaged += found.rest
        why = f"{found.rule}: {plain(found.detail, _DETAIL)}" if found.detail else found.rule
        at = f", {found.place}" if found.place else ""
        tally.first_bad = tally.first_bad or f"{plain(file, LONGEST)}{at}: {why}"
        if len(self._lines) < _LISTED:
            entry = {
                "source": source.name,
                "file": file,
                "place": found.place,
                "reason": found.rule,
                "detail": plain(found.detail, _DETAIL),
                "documents": found.count,
            }
            self._lines.append(json.dumps({k: v for k, v in entry.items() if v != ""}) + "\n")

    def write(self, folder: Path) -> None:
        """Write the list, if there is anything in it."""
        if self._lines:
            (folder / FILE).write_text("".join(self._lines), encoding="utf-8")


def check(run: CurateRun, source: Source, tally: Tally) -> None:
    """Raises PodFailure if more of a source is broken than `curation.maxBad` lets pass."""
    allowed = run.curation.max_bad
    broken = tally.quarantined.total()
    if tally.damaged > allowed * tally.files:
        what, many, remedy = "files", tally.files, "repair or remove them"
        count = tally.damaged
    elif broken > allowed * tally.read:
        what, many, count = "records", tally.read, broken
        rule = max(sorted(tally.quarantined.items()), key=lambda item: item[1])[0]
        remedy = REMEDIES.get(rule, "repair or remove them")
    else:
        return
    raise PodFailure(
        "SourceUnreadable",
        f"source {source.name}: {count:,} of {many:,} {what} cannot be read as {source.format}, first "
        f"{tally.first_bad}; {remedy}, or raise spec.curation.maxBad ({allowed:g})",
        FailureClass.DATA,
    )


REMEDIES = {
    "invalid-json": "write one JSON object a line, or correct the format",
    "invalid-utf8": "convert the files to UTF-8",
    "too-large": "split the documents",
    "nul": "remove what is not text, or correct the format",
}
