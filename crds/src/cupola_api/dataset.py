"""kind: Dataset. Raw text in, curated and tokenised shards out."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from cupola_api.base import Model, Rule, Ruled
from cupola_api.columns import (
    AGE_COLUMN,
    ATTEMPT_COLUMN,
    COST_COLUMN,
    PHASE_COLUMN,
    PROGRESS_COLUMN,
    REASON_COLUMN,
    WASTED_COLUMN,
    Column,
)
from cupola_api.common import Digest, Metadata, Name, Resource, Revision, Status, Uri
from cupola_api.control import Control

FieldName = Annotated[str, Field(min_length=1, max_length=128)]


class Format(StrEnum):
    """How a source's files hold documents."""

    JSONL = "Jsonl"
    PARQUET = "Parquet"
    TEXT = "Text"
    PYTHON = "Python"


class Source(Model):
    """Files that hold documents."""

    name: Name = Field(description="Its name in counts, reports and lineage.")
    uri: Uri = Field(
        description="A file, or a folder that is read recursively in sorted order. Compressed "
        "Jsonl and Text (.gz, .zst) is read as it is."
    )
    format: Format = Field(
        description="Jsonl: one JSON object a line. Parquet: one row a document. Text: one "
        "document a file (*.txt, *.md and their compressed forms in a folder). Python: one "
        "document a source file (*.py)."
    )
    text: FieldName = Field(
        "text", description="The field of a Jsonl or Parquet record that holds the document."
    )


class QualityRules(StrEnum):
    """A family of quality rules: what is junk in prose is normal in code."""

    PROSE = "Prose"
    CODE = "Code"


class Quality(Model):
    """Drops documents that a model should not learn from; each drop is counted by rule."""

    rules_for: QualityRules = Field(
        QualityRules.PROSE,
        alias="rules",
        description="Prose: rules after Gopher and C4 (length, symbols, stop words, repetition). "
        "Code: rules after The Stack and StarCoder (line lengths, alphanumeric share, generated "
        "or data-like files, code that does not parse).",
    )
    min_words: int | None = Field(
        None, ge=0, le=100_000, description="Fewer words drop a document; 50 for Prose, 5 for Code."
    )
    max_words: int = Field(100_000, ge=1, le=100_000_000, description="More words drop a document.")


class Dedup(Model):
    """Removes copies: exact ones after normalisation, and near ones by MinHash LSH, verified.

    A document goes only if its true Jaccard similarity to a document that stays is at least
    `similarity`.
    """

    similarity: float = Field(
        0.8,
        ge=0.5,
        le=1,
        description="Jaccard similarity of word 5-grams from which a document counts as a copy of "
        "another; 1 removes exact copies only.",
    )


class PiiKind(StrEnum):
    """A kind of private data that is recognised."""

    EMAIL = "Email"
    PHONE = "Phone"
    IP_ADDRESS = "IpAddress"
    CREDIT_CARD = "CreditCard"
    IBAN = "Iban"
    SSN = "Ssn"
    SECRET = "Secret"  # noqa: S105


class PiiAction(StrEnum):
    """What happens to private data."""

    REDACT = "Redact"
    DROP = "Drop"


class Pii(Model):
    """Private data: found by patterns with context and checksums, counted by kind, never logged."""

    action: PiiAction = Field(
        PiiAction.REDACT,
        description="Redact: replace each finding by a typed placeholder such as <EMAIL>. "
        "Drop: drop the document.",
    )
    kinds: list[PiiKind] = Field(
        default_factory=lambda: list(PiiKind),
        min_length=1,
        max_length=16,
        description="What to look for; all kinds by default.",
    )


class Curation(Model):
    """What is done to documents, in this order. Absent = off, `{}` = on with good defaults."""

    quality: Quality | None = Field(None, description="Drop documents of low quality.")
    pii: Pii | None = Field(None, description="Redact private data.")
    dedup: Dedup | None = Field(None, description="Remove copies.")


class TrainTokenizer(Model):
    """Train a byte-level BPE tokenizer on the curated text."""

    vocab_size: int = Field(
        32_000, ge=512, le=1_000_000, description="Entries, special tokens included."
    )


class TokenizerChoice(Ruled):
    """Where the tokenizer comes from; exactly one field is set."""

    rules: ClassVar = (
        Rule(
            "has(self.train) != has(self.dataset)",
            "choose one tokenizer: write either train: {vocabSize: N} or dataset: NAME",
        ),
    )

    train: TrainTokenizer | None = Field(None, description="Train one on this data.")
    dataset: Name | None = Field(
        None,
        description="Take that of another Dataset. Datasets that are mixed in one training need "
        "the same tokenizer.",
    )


class Task(Model):
    """Which fields of a record are a prompt and its answer, for fine-tuning and evaluation."""

    input: FieldName = Field(description="The field that holds the prompt.")
    output: FieldName = Field(description="The field that holds the answer.")


class DatasetSpec(Control):
    """What data, and how it is curated."""

    mutable: ClassVar = Control.mutable | {"maxPods"}
    rules: ClassVar = (
        *Control.rules,
        Rule(
            "!has(self.task) || self.sources.all(s, s.format in ['Jsonl', 'Parquet'])",
            "task names fields of a record: every source must then be of format Jsonl or Parquet",
        ),
        Rule(
            "self.sources.all(s, self.sources.exists_one(t, t.name == s.name))",
            "sources must have different names",
        ),
    )

    revision: Revision = 1
    sources: list[Source] = Field(
        min_length=1, max_length=32, description="Where the documents come from."
    )
    curation: Curation = Field(default_factory=Curation, description="What is done to them.")
    tokenizer: TokenizerChoice = Field(
        default_factory=lambda: TokenizerChoice(train=TrainTokenizer()),
        description="How text becomes tokens.",
    )
    task: Task | None = Field(
        None, description="Prompt and answer, if this data is for fine-tuning too."
    )
    validation: float = Field(
        0.01,
        gt=0,
        le=0.5,
        description="Share of documents held out, chosen by content, so that the same document "
        "is held out in every run.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the shuffle.")
    output: Uri | None = Field(
        None, description="Where artifacts go; the installation's store by default."
    )
    max_pods: int = Field(
        16,
        ge=1,
        le=1000,
        description="Pods at a time. Concurrency only: the result is the same for any value.",
    )


class RuleCount(Model):
    """Documents that one rule dropped, or findings of one kind of private data."""

    name: str = Field(max_length=64, description="The rule or kind.")
    count: int = Field(ge=0, description="How many.")


class DatasetSummary(Model):
    """What went in, what stayed, what was dropped and why."""

    documents_read: int = Field(ge=0, description="Documents read.")
    documents_kept: int = Field(ge=0, description="Documents that stayed.")
    dropped: list[RuleCount] = Field(
        default_factory=list, max_length=32, description="Documents dropped, by rule."
    )
    redacted: list[RuleCount] = Field(
        default_factory=list, max_length=16, description="Private data replaced, by kind."
    )
    tokens: int = Field(ge=0, description="Training tokens.")
    validation_tokens: int = Field(ge=0, description="Held-out tokens.")
    examples: int = Field(0, ge=0, description="Prompt and answer pairs for training.")
    validation_examples: int = Field(0, ge=0, description="Held-out pairs.")
    vocabulary: int = Field(ge=1, description="Entries of the tokenizer.")
    tokenizer_digest: Digest = Field(description="Identity of the tokenizer.")


class DatasetStatus(Status):
    """What became of the data."""

    inputs_digest: Digest | None = Field(None, description="Digest of the source files as listed.")
    parts: int | None = Field(None, description="Parts that the sources are worked on in.")
    listing: str | None = Field(None, max_length=2048, description="Where the listing is stored.")
    summary: DatasetSummary | None = Field(None, description="Counts of the finished artifact.")


class Dataset(Resource):
    """Raw text, curated and tokenised.

    Files in storage become the token shards that models learn from: junk and copies are dropped,
    private data is redacted, a tokenizer is trained, and a share is held out. The result is the same
    bytes for any number of pods. What was dropped, and by which rule, is in status.summary.
    """

    plural: ClassVar = "datasets"
    short: ClassVar = "dset"
    columns: ClassVar = (
        PHASE_COLUMN,
        REASON_COLUMN,
        PROGRESS_COLUMN,
        Column(
            name="Documents",
            type="integer",
            path=".status.summary.documentsKept",
            description="Documents that stayed.",
        ),
        Column(
            name="Tokens",
            type="integer",
            path=".status.summary.tokens",
            description="Training tokens.",
        ),
        COST_COLUMN,
        AGE_COLUMN,
        Column(
            name="Stage",
            path=".status.progress.stage",
            description="The stage of curation that runs.",
            priority=1,
        ),
        ATTEMPT_COLUMN,
        WASTED_COLUMN,
    )

    metadata: Metadata
    spec: DatasetSpec = Field(description="What data, and how it is curated.")
    status: DatasetStatus | None = Field(None, description="What became of it.")
