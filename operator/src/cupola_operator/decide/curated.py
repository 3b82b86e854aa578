"""How far a stage of a Dataset is: the share of its parts that is done, documents and bytes."""

from __future__ import annotations

from cupola_api import metrics
from cupola_api.common import Progress
from cupola_api.dataset import DatasetStatus
from cupola_operator.decide.progress import counted
from cupola_operator.decide.stage import Stage
from cupola_operator.world import World

_CLEANING = "clean"
"""The stage that works on the source files, whose size the listing said."""


def progress(world: World, stage: Stage, before: float, whole: float) -> Progress:
    """Progress in a stage that is the share `whole` of the run and follows on the share `before`.

    A pod that ended says in its last words what it worked on, one that runs on /metrics.
    """
    attempts = stage.attempts(world)
    pods = stage.pods(world, attempts[-1]) if attempts else []
    done = [pod for pod in pods if pod.succeeded]
    running = sum(pod.running for pod in pods)
    said = world.metrics if running else {}
    parts = len(done) + running * min(1.0, max(0.0, said.get(metrics.PROGRESS, 0.0)))
    worked = [pod.outcome.worked for pod in done if pod.outcome and pod.outcome.worked]
    documents, size = (counted(said, name) for name in _COUNTED)
    if worked or documents is not None:
        documents = sum(one.documents for one in worked) + (documents or 0)
        size = sum(one.bytes for one in worked) + (size or 0)
    listed = world.status.input_bytes if isinstance(world.status, DatasetStatus) else None
    return Progress(
        fraction=round(min(1.0, before + whole * min(1.0, parts / stage.parts)), 4),
        stage=stage.label,
        documents=documents,
        documents_total=counted(said, metrics.STAGE_DOCUMENTS) or _known(world, stage),
        bytes=size,
        bytes_total=listed if stage.label == _CLEANING else None,
    )


def _known(world: World, stage: Stage) -> int | None:
    """What was said of all documents of this stage before, when pods were asked that ended since."""
    old = world.status.progress
    return old.documents_total if old and old.stage == stage.label else None


_COUNTED = (metrics.CURATED_DOCUMENTS, metrics.CURATED_BYTES)
