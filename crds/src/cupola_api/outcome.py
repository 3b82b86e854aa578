"""What a pod says at its end: a small JSON object in its termination message.

Kubernetes keeps at most 4,096 bytes of it. It is untrusted input to the operator: `read` accepts
what fits the type and nothing else.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, ValidationError

from cupola_api.base import Model
from cupola_api.common import Artifact, Digest, FailureClass
from cupola_api.dataset import DatasetSummary
from cupola_api.evaluation import Score
from cupola_api.synthetic import SyntheticSummary
from cupola_api.training import ModelSummary

__all__ = [
    "MAX_BYTES",
    "FailureClass",
    "Listing",
    "Outcome",
    "OutcomeKind",
    "Resumed",
    "Timing",
    "read",
]

MAX_BYTES = 4096

LATEST = 1e11
"""Seconds; a time beyond it is nonsense."""


class OutcomeKind(StrEnum):
    """How a pod ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"


class Listing(Model):
    """What the listing pod of a Dataset found."""

    uri: str = Field(max_length=2048, description="Where the listing is stored.")
    digest: Digest = Field(description="Digest of all source files: names, sizes and content.")
    parts: int = Field(ge=1, le=100_000, description="Parts that the files are worked on in.")
    files: int = Field(ge=1, description="Source files.")
    bytes: int = Field(ge=0, description="Their size.")


class Worked(Model):
    """What a pod of a curation stage worked on."""

    documents: int = Field(ge=0, le=2**53, description="How many.")
    bytes: int = Field(
        ge=0, le=2**53, description="Of source files, as they lie in storage, or of text."
    )


class Resumed(Model):
    """What an attempt of a training went on from."""

    step: int = Field(ge=0, le=2**53, description="Of the checkpoint; 0: it began anew.")
    saved_at: float = Field(0, ge=0, le=LATEST, description="When that was complete, Unix time.")
    passed_over: int = Field(0, ge=0, le=2**53, description="Newer checkpoints, damaged.")


class Timing(Model):
    """What rank 0 of a training says of its time in this attempt: see `metrics`."""

    first_step_at: float | None = Field(None, ge=0, le=LATEST, description="Unix time.")
    checkpoint_seconds: float = Field(0, ge=0, le=LATEST, description="Steps waited for saving.")
    evaluation_seconds: float = Field(0, ge=0, le=LATEST, description="Validation.")
    step_seconds: float | None = Field(
        None, gt=0, le=LATEST, description="Mean of its steps, the first one and saves left out."
    )
    resumed: Resumed | None = Field(None, description="Where it went on from.")


class Outcome(Model):
    """The termination message."""

    outcome: OutcomeKind = Field(description="How the pod ended.")
    reason: str = Field("Completed", pattern=r"^[A-Z][A-Za-z0-9]{0,63}$", description="One word.")
    failure: FailureClass | None = Field(None, description="The class, if it failed.")
    message: str = Field("", max_length=512, description="A sentence for a person.")
    step: int | None = Field(None, ge=0, description="Step of the last checkpoint or of the end.")
    artifact: Artifact | None = Field(None, description="The verified output.")
    listing: Listing | None = Field(None, description="Of a listing pod.")
    dataset: DatasetSummary | None = Field(None, description="Of the last curation stage.")
    worked: Worked | None = Field(None, description="Of a curation stage with a pod a part.")
    synthetic: SyntheticSummary | None = Field(
        None, description="Of the pod that put together what a model wrote."
    )
    model: ModelSummary | None = Field(None, description="Of a training.")
    timing: Timing | None = Field(None, description="Of a training: where its time went.")
    first_work_at: float | None = Field(
        None,
        ge=0,
        le=LATEST,
        description="Of a pod of a Job: when its start-up was over, Unix time.",
    )
    scores: list[Score] = Field(
        default_factory=list, max_length=64, description="Of an evaluation."
    )

    def write(self) -> str:
        """The JSON of the message; a message that is too long loses the end of its sentence."""
        text = self.model_dump_json(by_alias=True, exclude_none=True)
        excess = len(text.encode()) - MAX_BYTES
        if excess > 0:
            shorter = self.model_copy(update={"message": self.message[: -excess - 8] + "..."})
            text = shorter.model_dump_json(by_alias=True, exclude_none=True)
        return text


def read(message: str | None) -> Outcome | None:
    """The outcome that a termination message holds, or None if it holds none."""
    if not message or len(message.encode()) > MAX_BYTES:
        return None
    try:
        return Outcome.model_validate_json(message)
    except ValidationError:
        return None
