"""Stage `generate`: a language model writes the documents of a synthetic source.

A pod a share of the requests. Each one keeps the answers as they come (`answers`), and seals its
documents. Then it looks for the others': the last one puts all together as an artifact,

    <run folder>/artifact/documents/00000.jsonl.zst    a file a share: text, prompt, synthetic

which is a source of format Jsonl for the stages after it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from cupola_api.artifact import ArtifactInvalid, digest_of
from cupola_api.common import Artifact, Lineage
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind, Worked
from cupola_api.run import GenerateRun
from cupola_api.synthetic import SyntheticSummary
from cupola_trainer import storage
from cupola_trainer.curate import documents, work
from cupola_trainer.curate.synthetic import share as shares
from cupola_trainer.curate.synthetic.asking import Stopped
from cupola_trainer.pod import PodFailure

STAGE = "generate"
_KIND = "Synthetic"


def generate(run: GenerateRun, share: int) -> Outcome:
    """Do a share of the stage, and what is left to do after the last one. Raises PodFailure."""
    try:
        return _written(run) or _share(run, share)
    except Stopped:
        return Outcome(
            outcome=OutcomeKind.STOPPED,
            reason="Terminated",
            message="stopped as asked; what was answered is kept, the next attempt asks for the rest",
        )
    except (OSError, ArtifactInvalid, PodFailure):
        # A twin that put all together meanwhile removed the files that this pod was reading.
        outcome = _written(run)
        if outcome is None:
            raise
        return outcome


def _share(run: GenerateRun, share: int) -> Outcome:
    folder = work.stage_folder(run, STAGE, share)
    if work.sealed(folder, run) is None:
        work.commit(folder, run, lambda own: shares.write(run, share, own))
    if not work.are_there(run, STAGE, run.shares):
        manifest, _ = storage.read_manifest(folder)
        return Outcome(
            outcome=OutcomeKind.SUCCEEDED,
            message="a share of the answers is written",
            worked=Worked.model_validate(manifest.facts["worked"]),
        )
    artifact = work.commit(
        work.artifact_folder(run),
        run,
        lambda own: _join(run, own),
        kind=_KIND,
        inputs=lineage(run),
    )
    return _done(run, artifact)


def _join(run: GenerateRun, folder: Path) -> dict[str, Any]:
    """Put the shares together in `folder`; returns the facts of its manifest."""
    made = [
        work.require(work.stage_folder(run, STAGE, number), run) for number in range(run.shares)
    ]
    if len({one.facts["seeds"] for one in made}) > 1:
        storage.discard(work.work_folder(run))
        raise PodFailure(
            "SourceChanged",
            f"the documents that the source {run.source} asks about changed while it was written; "
            "leave them as they are until the run ends",
            FailureClass.INFRASTRUCTURE,
        )
    facts = shares.added([one.facts for one in made])
    if not facts["made"]:
        raise PodFailure(
            "NothingMade",
            f"the model wrote no document for the source {run.source}: {facts['empty']:,} answers "
            f"are empty, {facts['failed']:,} requests failed"
            + (", and the budget allowed no more" if facts["budgetUsedUp"] else "")
            + "; see to the prompts, maxTokens and the budget",
            FailureClass.DATA,
        )
    (folder / documents.FOLDER).mkdir()
    for number, one in enumerate(made):
        shutil.copyfile(
            one.folder / shares.DOCUMENTS, folder / documents.FOLDER / documents.name(number)
        )
    return {
        "source": run.source,
        "model": run.writer,
        "prompts": run.prompts_digest,
        "documents": run.documents,
        **facts,
    }


def lineage(run: GenerateRun) -> list[Lineage]:
    """What the documents are made from: the model, the prompts, and the Dataset they are about."""
    found = [run.model.lineage()] if run.model else []
    if run.endpoint:
        known = digest_of({"url": run.endpoint.url, "model": run.endpoint.model})
        found.append(Lineage(kind="Endpoint", name=run.endpoint.model[:63], digest=known))
    if run.hugging_face:
        name = run.hugging_face.removeprefix("hf://").partition("@")[0][:63]
        found.append(Lineage(kind="HuggingFace", name=name, digest=digest_of(run.hugging_face)))
    found.append(Lineage(kind="Prompts", name=run.source, digest=run.prompts_digest))
    return [*found, *([run.seeds.dataset.lineage()] if run.seeds.dataset else [])]


def _written(run: GenerateRun) -> Outcome | None:
    """The outcome of a run whose documents are there."""
    artifact = storage.finished(work.artifact_folder(run), run.digest)
    return _done(run, artifact) if artifact else None


def _done(run: GenerateRun, artifact: Artifact) -> Outcome:
    storage.discard(work.work_folder(run))
    manifest, _ = storage.read_manifest(work.artifact_folder(run))
    summary = SyntheticSummary.model_validate(
        {**manifest.facts, "uri": artifact.uri, "digest": artifact.digest}
    )
    ended = "; the budget is used up" if summary.budget_used_up else ""
    return Outcome(
        outcome=OutcomeKind.SUCCEEDED,
        message=f"{summary.made:,} documents of {summary.requests:,} answers, "
        f"{summary.output_tokens:,} tokens{ended}",
        synthetic=summary,
    )
