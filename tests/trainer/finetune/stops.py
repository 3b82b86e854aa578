"""A tuning that is not disturbed, and the same one stopped on its way, in this process.

Under torchrun (`python -m torch.distributed.run ... stops.py FOLDER`) every rank tunes the runs of
`FOLDER/runs.json`, a name to the text of a run, and rank 0 writes what became of each, a name to
[undisturbed, stopped], to `FOLDER/results.json`. One start of the ranks serves all of them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from accelerate.state import AcceleratorState, GradientState

from cupola_api.artifact import verify
from cupola_api.outcome import Outcome
from cupola_api.run import ATTEMPT, FineTuneRun
from cupola_trainer.distributed import ranks_of
from cupola_trainer.finetune import work
from cupola_trainer.history import History
from cupola_trainer.storage import place_of

ASKED = 3
"""The step in whose report the pod is asked to stop; the ranks agree on it after the next one."""


@contextmanager
def attempt(name: str, *, asked: int | None = None) -> Iterator[None]:
    """In an attempt; SIGTERM comes to rank 0 while it reports the step `asked`."""
    append = History.append

    def append_and_ask(self: History, entry: dict[str, float]) -> None:
        append(self, entry)
        if entry["step"] == asked:
            signal.raise_signal(signal.SIGTERM)

    # Accelerate tells its children by environment variables which rank they are.
    with (
        patch.dict(os.environ, {ATTEMPT: name}),
        patch.object(History, "append", append_and_ask),
    ):
        yield
        # There is one of each in a process.
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()


def finetune(run: FineTuneRun, name: str, *, asked: int | None = None) -> Outcome:
    """Run an attempt that is asked to stop at a step, or to its end."""
    with attempt(name, asked=asked):
        return work.finetune(run)


def saving_always(run: FineTuneRun, folder: Path) -> FineTuneRun:
    """The run with a checkpoint after every step but the last, in a store of its own."""
    changes: dict[str, Any] = {"checkpoint_seconds": 0, "checkpoint_keep": 99}
    return run.model_copy(update={**changes, "output": folder.as_uri()})


def undisturbed(run: FineTuneRun, folder: Path) -> Outcome:
    """Tune in one go."""
    return finetune(saving_always(run, folder / "undisturbed"), "a1")


def stopped(run: FineTuneRun, folder: Path) -> list[Outcome]:
    """Tune in two attempts."""
    run = saving_always(run, folder / "stopped")
    return [finetune(run, "a1", asked=ASKED), finetune(run, "a2")]


def told(run: FineTuneRun, folder: Path, name: str) -> dict[str, Any]:
    """What a run left: digests of its checkpoints and of its model, and its history, by step."""
    place = place_of(saving_always(run, folder / name).folder)
    steps: dict[str, Any] = {}
    for path in sorted(place.glob("*/history.jsonl")):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            steps[str(entry["step"])] = [
                entry[key] for key in ("loss", "lr", "grad_norm", "tokens")
            ]
    return {
        "checkpoints": {
            path.name: verify(path)[1].digest for path in sorted(place.glob("*/checkpoints/*"))
        },
        "model": [verify(path)[1].digest for path in place.glob("*/artifact")],
        "history": steps,
    }


def both(run: FineTuneRun, folder: Path) -> list[dict[str, Any]]:
    """What an undisturbed run left, and what a stopped one did."""
    undisturbed(run, folder)
    first, _ = stopped(run, folder)
    assert first.step == ASKED + 1, first
    place = place_of(saving_always(run, folder / "stopped").folder)
    with (place / "a2" / "history.jsonl").open() as history:
        assert json.loads(next(history))["step"] == ASKED + 2  # it did go on
    return [told(run, folder, "undisturbed"), told(run, folder, "stopped")]


def main(folder: Path) -> None:
    """Tune the runs of a folder; for one rank among others."""
    texts = json.loads((folder / "runs.json").read_text())
    runs = {name: FineTuneRun.model_validate(yaml.safe_load(text)) for name, text in texts.items()}
    results = {}
    with ranks_of(next(iter(runs.values())).world) as ranks:

        @contextmanager
        def met(*_: Any) -> Iterator[Any]:
            yield ranks

        with patch.object(work, "ranks_of", met):
            for name, run in runs.items():
                results[name] = both(run, folder / name)
                ranks.total([0.0])
    if ranks.main:
        (folder / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    # At Python's end threads of process groups, of which this process had several, rarely abort it.
    os._exit(0)
