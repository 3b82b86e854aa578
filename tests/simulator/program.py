"""What runs in a pod, in a few lines: steps, checkpoints, an artifact, and the place they lie in.

The weights after a step are a hash of the weights before it, so a step that is left out or done
twice shows in the digest of the artifact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from cupola_api.artifact import digest_of
from cupola_api.common import Artifact
from cupola_api.dataset import DatasetSummary
from cupola_api.outcome import Listing, Outcome, OutcomeKind, Timing
from cupola_api.training import ModelSummary

STEPS = 6
"""Of a training."""

PARTS = 2
"""Of a Dataset's listing."""

SUMMARY = DatasetSummary(
    documents_read=1,
    documents_kept=1,
    tokens=1,
    validation_tokens=1,
    vocabulary=4096,
    tokenizer_digest=digest_of("tokenizer"),
)


@lru_cache(maxsize=4096)
def begun(run: str) -> str:
    """The weights at step 0 of a run."""
    return digest_of(["start", run])


@lru_cache(maxsize=65536)
def stepped(weights: str, step: int) -> str:
    """The weights after one more step."""
    return digest_of([weights, step])


@lru_cache(maxsize=4096)
def expected(run: str, *, trains: bool) -> str:
    """The digest of the artifact of a run that nothing ever disturbed."""
    weights = begun(run)
    for step in range(STEPS if trains else 0):
        weights = stepped(weights, step)
    return weights


@dataclass
class Store:
    """The object storage that pods write to; by digest of the run."""

    checkpoints: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """(step, weights), the newest last."""
    artifacts: dict[str, dict[str, Artifact]] = field(default_factory=dict)
    """By attempt."""

    def newest(self, run: str) -> tuple[int, str]:
        """The checkpoint to go on from."""
        return max(self.checkpoints.get(run, []), default=(0, begun(run)))

    def found(self, run: str) -> Artifact | None:
        """The artifact of any attempt of the run; that of the first if there are more."""
        made = self.artifacts.get(run)
        return made[min(made)] if made else None

    def save(self, run: str, step: int, weights: str) -> None:
        self.checkpoints.setdefault(run, []).append((step, weights))

    def commit(self, run: str, attempt: str, weights: str) -> Artifact:
        """Write the artifact into the attempt's own folder."""
        artifact = made(run, attempt, weights)
        self.artifacts.setdefault(run, {})[attempt] = artifact
        return artifact


@lru_cache(maxsize=4096)
def made(run: str, attempt: str, weights: str) -> Artifact:
    return Artifact(uri=f"file:///data/{run[7:23]}/{attempt}/artifact", digest=weights, bytes=1)


@lru_cache(maxsize=4096)
def success(
    stage: str,
    artifact: Artifact | None,
    listing: str = "",
    timing: Timing | None = None,
    worked: float | None = None,
) -> str:
    """The termination message of a pod of `stage` that ended well."""
    trains = stage in ("pretrain", "finetune")
    curated = stage not in ("pretrain", "finetune", "evaluate")
    return Outcome(
        outcome=OutcomeKind.SUCCEEDED,
        step=STEPS if trains else None,
        timing=timing,
        first_work_at=worked,
        artifact=artifact,
        dataset=SUMMARY if artifact and curated else None,
        model=ModelSummary(parameters=1000, steps=STEPS, tokenizer_digest=digest_of("tokenizer"))
        if trains
        else None,
        listing=Listing(
            uri="file:///data/listing", digest=listing, parts=PARTS, files=PARTS, bytes=1
        )
        if listing
        else None,
    ).write()


@lru_cache(maxsize=4096)
def said(
    outcome: OutcomeKind,
    reason: str,
    failure: str | None,
    step: int | None,
    timing: Timing | None = None,
) -> str:
    """A termination message of a pod that did not end well."""
    return Outcome(
        outcome=outcome,
        reason=reason,
        failure=failure,
        message="the pod says why",
        step=step,
        timing=timing,
    ).write()
