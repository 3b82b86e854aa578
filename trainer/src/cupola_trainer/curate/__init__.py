"""Curation: raw text in, a Dataset out. Each stage is a pod of its own; they meet in storage.

(generate, a pod a share ->) list -> clean (a pod a part) -> dedup (a pod a range) -> tokenise (a pod a part) -> publish. A stage
that finds its work done ends at once, so that any pod may die and be started again.

In `dedup` each pod looks for copies in its range of signatures and seals what it found. Then it looks
for the others': the last one finds all of them, and decides for the whole Dataset what stays.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from cupola_api import run as contract
from cupola_api.artifact import ArtifactInvalid
from cupola_api.common import Artifact
from cupola_api.dataset import DatasetSummary
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind, Worked
from cupola_trainer import storage, timesheet
from cupola_trainer.curate import work
from cupola_trainer.pod import PodFailure

INDEX = "JOB_COMPLETION_INDEX"
"""Environment variable: the part that a pod of an Indexed Job works on."""


def main(run: contract.Run, options: argparse.Namespace) -> Outcome:
    """Do the stage `options.stage` of a run. Raises PodFailure."""
    if options.stage == "list":
        if not isinstance(run, contract.ListRun):
            raise _wrong_kind(run, "ListRun")
        from cupola_trainer.curate.listing import list_sources  # noqa: PLC0415  see below

        timesheet.works()
        return list_sources(run)
    if options.stage == "generate":
        if not isinstance(run, contract.GenerateRun):
            raise _wrong_kind(run, "GenerateRun")
        from cupola_trainer.curate.synthetic import generate  # noqa: PLC0415  see below

        return generate(run, _index(run.shares))
    if not isinstance(run, contract.CurateRun):
        raise _wrong_kind(run, "CurateRun")
    try:
        return _published(run) or _stage(run, options.stage)
    except (OSError, ArtifactInvalid, PodFailure):
        # A twin that published meanwhile removed the files that this pod was reading.
        outcome = _published(run)
        if outcome is None:
            raise
        return outcome


def _stage(run: contract.CurateRun, stage: str) -> Outcome:
    """Do one stage, unless it is done. A stage imports only what it needs: each one is a pod."""
    if stage == "publish":
        return _publish(run)
    if stage == "dedup":
        _do(run, "match", _index(run.ranges))
        if not work.are_there(run, "match", run.ranges):
            return Outcome(outcome=OutcomeKind.SUCCEEDED, message="a range of dedup is done")
        _do(run, stage, None)
        return Outcome(outcome=OutcomeKind.SUCCEEDED, message="dedup is done")
    facts = _do(run, stage, _index(run.parts))
    return Outcome(
        outcome=OutcomeKind.SUCCEEDED,
        message=f"{stage} is done",
        worked=Worked.model_validate(worked) if (worked := facts.get("worked")) else None,
    )


def _do(run: contract.CurateRun, stage: str, part: int | None) -> work.Facts:
    """Make the folder of a stage, or of one part of it, unless it is there; the facts of it."""
    folder = work.stage_folder(run, stage, part)
    there = work.sealed(folder, run)
    if there is not None:
        return there.facts
    facts: work.Facts = {}

    def fill(own: Path) -> work.Facts:
        facts.update(_fill(run, stage, part, own))
        return facts

    work.commit(folder, run, fill)
    return facts


def _fill(run: contract.CurateRun, stage: str, part: int | None, folder: Path) -> work.Facts:
    """Let the stage write into `folder`; returns the facts of its manifest."""
    if stage == "clean" and part is not None:
        from cupola_trainer.curate.clean import clean  # noqa: PLC0415

        timesheet.works()
        return clean(run, part, folder)
    if stage == "tokenise" and part is not None:
        from cupola_trainer.curate.tokenise import tokenise  # noqa: PLC0415

        timesheet.works()
        return tokenise(run, part, folder)
    if stage == "match" and part is not None:
        from cupola_trainer.curate.match import match  # noqa: PLC0415

        timesheet.works()
        return match(run, part, folder)
    from cupola_trainer.curate.dedup import dedup  # noqa: PLC0415

    timesheet.works()
    return dedup(run, folder)


def _publish(run: contract.CurateRun) -> Outcome:
    from cupola_trainer.curate.publish import lineage, publish  # noqa: PLC0415

    timesheet.works()
    artifact = work.commit(
        work.artifact_folder(run),
        run,
        lambda own: publish(run, own),
        kind=work.DATASET,
        inputs=lineage(run),
    )
    return _done(run, artifact)


def _published(run: contract.CurateRun) -> Outcome | None:
    """The outcome of a run whose Dataset is there."""
    artifact = storage.finished(work.artifact_folder(run), run.digest)
    return _done(run, artifact) if artifact else None


def _done(run: contract.CurateRun, artifact: Artifact) -> Outcome:
    storage.discard(work.work_folder(run))
    manifest, _ = storage.read_manifest(work.artifact_folder(run))
    summary = DatasetSummary.model_validate(manifest.facts)
    return Outcome(
        outcome=OutcomeKind.SUCCEEDED,
        message=f"{summary.documents_kept:,} of {summary.documents_read:,} documents, "
        f"{summary.tokens:,} tokens for training",
        artifact=artifact,
        dataset=summary,
    )


def _index(count: int) -> int:
    """The part or range of this pod, of `count`, from the environment."""
    text = os.environ.get(INDEX, "")
    if not text.isdecimal() or int(text) >= count:
        raise PodFailure(
            "PartUnknown",
            f"{INDEX} is {text!r}; set it to the number of a part, 0 to {count - 1}",
            FailureClass.USER,
        )
    return int(text)


def _wrong_kind(run: contract.Run, wanted: str) -> PodFailure:
    return PodFailure(
        "RunInvalid",
        f"run.yaml holds a {run.kind}; this stage needs a {wanted}",
        FailureClass.USER,
    )
