"""Whether the fields that a Dataset names are there at all: a wrong name would drop every record."""

from __future__ import annotations

from cupola_api.dataset import Source
from cupola_api.errors import plain
from cupola_api.outcome import FailureClass
from cupola_api.run import CurateRun
from cupola_trainer.curate.tally import Tally
from cupola_trainer.pod import PodFailure

_SHOWN = 6


def check_text(run: CurateRun, source: Source, tally: Tally) -> None:
    """Raises PodFailure if no record at all of a source holds a document."""
    whole = tally.read - tally.quarantined.total()
    if not whole or tally.dropped["missing-field"] < whole:
        return
    wanted = f"text field {source.text}"
    if run.task:
        wanted += f", nor both {run.task.input} and {run.task.output}"
    raise PodFailure(
        "FieldMissing",
        f"source {source.name}: no record has the {wanted}; there are: {_names(tally)}; name the "
        "right one in spec.sources[].text",
        FailureClass.USER,
    )


def check_pairs(run: CurateRun, tally: Tally) -> None:
    """Raises PodFailure if there is a task and no record of any source holds its pair."""
    if run.task is None or not tally.read or tally.pairs:
        return
    raise PodFailure(
        "FieldMissing",
        f"no record has both fields {run.task.input} and {run.task.output}; there are: "
        f"{_names(tally)}; name the right ones in spec.task",
        FailureClass.USER,
    )


def _names(tally: Tally) -> str:
    names = [plain(name) for name in tally.fields[:_SHOWN]]
    more = " and more" if len(tally.fields) > _SHOWN else ""
    return (", ".join(names) or "none") + more
