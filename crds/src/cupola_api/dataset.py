"""kind: Dataset. Raw text in, curated and tokenised shards out."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from pydantic import Field

from cupola_api.base import Model, Rule, Ruled
from cupola_api.columns import (
    AGE_COLUMN,
    ATTEMPT_COLUMN,
    COST_COLUMN,
    PHASE_COLUMN,
    PLANNED_COLUMN,
    PROGRESS_COLUMN,
    REASON_COLUMN,
    WASTED_COLUMN,
    Column,
)
from cupola_api.common import PLACE, Digest, Metadata, Name, Resource, Revision, Status, Uri
from cupola_api.control import Control
from cupola_api.duplicate_lines import DuplicateLines
from cupola_api.filters import (
    Benchmark,
    BlockList,
    Classifier,
    Decontamination,
    Examples,
    FieldName,
    Language,
    Quality,
)
from cupola_api.mixing import Mixing, SourceMix, Weight
from cupola_api.synthetic import MadeBy, Synthetic, SyntheticSummary

SOURCE = (
    PLACE + r"|^hf://[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*"
    r"(@[^@/#\x00-\x20\x7f]+)?(/[^@/#\x00-\x20\x7f]+)?(#[^@/#\x00-\x20\x7f]+)?$"
)
"""Pattern of where a source is: a place in storage, or `hf://org/name[@revision][/config][#split]`."""


class Format(StrEnum):
    """How a source's files hold documents."""

    JSONL = "Jsonl"
    PARQUET = "Parquet"
    TEXT = "Text"
    PYTHON = "Python"
    WARC = "Warc"
    WET = "Wet"


class AnySource(Ruled):
    """Files that hold documents, or documents that a model writes; exactly one of uri and synthetic."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.uri) != has(self.synthetic)",
            "say where the documents of a source come from: write uri and format, or synthetic",
        ),
        Rule(
            "has(self.uri) == has(self.format)",
            "a source with a uri needs a format, such as Jsonl, and one without has none",
        ),
        Rule(
            "!has(self.synthetic) || (self.text == 'text' && !has(self.maxFiles))",
            "text and maxFiles are of a source with a uri; leave them out with synthetic",
        ),
    )

    name: Name = Field(description="Its name in counts, reports and lineage.")
    uri: str | None = Field(
        None,
        pattern=SOURCE,
        max_length=1024,
        description="A file, or a folder that is read recursively in sorted order. Compressed "
        "Jsonl and Text (.gz, .zst) is read as it is. hf://org/name[@revision][/config][#split] is a "
        "dataset of the Hugging Face hub, of which the split train is read if none is named. A file "
        "*.paths or *.paths.gz is a list of files, such as Common Crawl has one for each crawl: a "
        "path a line, in the bucket of the list.",
    )
    format: Format | None = Field(
        None,
        description="Jsonl: one JSON object a line. Parquet: one row a document. Text: one "
        "document a file (*.txt, *.md and their compressed forms in a folder). Python: one "
        "document a source file (*.py). Warc: the main text of each page of a web archive "
        "(*.warc.gz, *.warc). Wet: the text that Common Crawl made of each (*.wet.gz, *.wet).",
    )
    text: FieldName = Field(
        "text",
        description="The field of a Jsonl or Parquet record that holds the document; meta.body is "
        "the field body of the record in meta. A field url is taken for where it is from.",
    )
    max_files: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Read that many of its files at most, spread evenly over all in their order.",
    )
    weight: Weight = None
    synthetic: Synthetic | None = Field(None, description="Documents that a language model writes.")


class Source(AnySource):
    """Files that hold documents, as a run knows them."""

    rules: ClassVar = ()

    uri: str
    format: Format
    made_by: MadeBy | None = Field(None, description="What wrote them, if a model did.")


class DedupScope(StrEnum):
    """Among which documents copies are looked for."""

    ALL = "All"
    SOURCE = "Source"


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
    scope: DedupScope = Field(
        DedupScope.ALL,
        description="All: a document goes if it is a copy of any other. Source: only if it is one of "
        "a document of its own source. With a source for each crawl of the web that left better "
        "data than All (FineWeb: what stays of old crawls is what nobody copied, arXiv "
        "2406.17557).",
    )
    lines: DuplicateLines | None = Field(
        None, description="Take lines out that occurred before, in documents that stay."
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
    HASH = "Hash"
    DROP = "Drop"


PII_KEY = "CUPOLA_PII_KEY"
"""Environment variable of the pods that clean: the key of the placeholders of action Hash."""


class Pii(Model):
    """Private data: found by patterns with context and checksums, counted by kind, never logged."""

    action: PiiAction = Field(
        PiiAction.REDACT,
        description="Redact: replace each finding by a typed placeholder such as <EMAIL>. Hash: by "
        "one that is the same for the same finding, such as <EMAIL:kcpmhaegdjfonbil>, made with the "
        "key in the variable CUPOLA_PII_KEY (16 characters or more; a Secret in "
        "podTemplate.envFromSecrets), which whoever has the data must not have. Drop: drop the "
        "document.",
    )
    kinds: list[PiiKind] = Field(
        default_factory=lambda: list(PiiKind),
        min_length=1,
        max_length=16,
        description="What to look for; all kinds by default.",
    )


class NamedFile(Model):
    """A file that curation reads besides the sources."""

    name: str = Field(description="The rule that it is of.")
    uri: str = Field(description="Where it is.")


_WithUri = TypeVar("_WithUri", BlockList, Benchmark, Examples)


class Curation(Ruled):
    """What is done to documents, in this order. Absent = off, `{}` = on with good defaults."""

    rules: ClassVar = (
        Rule(
            "!has(self.blockLists) || self.blockLists.all(b, "
            "self.blockLists.exists_one(c, c.name == b.name))",
            "blockLists must have different names",
        ),
        Rule(
            "!has(self.decontamination) || self.decontamination.benchmarks.all(b, "
            "self.decontamination.benchmarks.exists_one(c, c.name == b.name))",
            "decontamination.benchmarks must have different names",
        ),
    )

    block_lists: list[BlockList] | None = Field(
        None, min_length=1, max_length=8, description="Drop documents by their words or address."
    )
    language: Language | None = Field(
        None, description="Tell the languages of documents, and drop some."
    )
    quality: Quality | None = Field(None, description="Drop documents of low quality.")
    classifier: Classifier | None = Field(
        None, description="Drop documents that are like bad ones rather than good ones."
    )
    decontamination: Decontamination | None = Field(
        None, description="Drop documents that hold text of benchmarks."
    )
    pii: Pii | None = Field(None, description="Redact private data.")
    dedup: Dedup | None = Field(None, description="Remove copies.")
    max_bad: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the records of a source, and of its files, that may be broken: cut "
        "short, corrupt, not UTF-8, too large. They are quarantined: counted and listed with the "
        "reason. More of them fail the run.",
    )

    def files(self) -> list[NamedFile]:
        """The files that curation reads besides the sources: name of their rule, and place."""
        places = {f"block-{one.name}": one.uri for one in self.block_lists or ()}
        if self.classifier:
            places |= {
                "classifier-good": self.classifier.good.uri,
                "classifier-bad": self.classifier.bad.uri,
            }
        if self.decontamination:
            against = self.decontamination.benchmarks
            places |= {f"benchmark-{one.name}": one.uri for one in against}
        return [NamedFile(name=name, uri=uri) for name, uri in places.items()]

    def resolved(self, resolve: Callable[[str], str]) -> Curation:
        """The same with every place of `files` as `resolve` gives it."""

        def there(one: _WithUri) -> _WithUri:
            return one.model_copy(update={"uri": resolve(one.uri)})

        changes: dict[str, Any] = {}
        if self.block_lists:
            changes["block_lists"] = [there(one) for one in self.block_lists]
        if self.classifier:
            sets = {"good": there(self.classifier.good), "bad": there(self.classifier.bad)}
            changes["classifier"] = self.classifier.model_copy(update=sets)
        if self.decontamination:
            benchmarks = [there(one) for one in self.decontamination.benchmarks]
            changes["decontamination"] = self.decontamination.model_copy(
                update={"benchmarks": benchmarks}
            )
        return self.model_copy(update=changes) if changes else self


class TokenizerAlgorithm(StrEnum):
    """How a tokenizer cuts words into tokens of its vocabulary."""

    BPE = "Bpe"
    WORD_PIECE = "WordPiece"
    UNIGRAM = "Unigram"


class TrainTokenizer(Model):
    """Train a tokenizer on the curated text. It works on bytes, so it knows every text."""

    algorithm: TokenizerAlgorithm = Field(
        TokenizerAlgorithm.BPE,
        description="Bpe: bytes are joined in the order of the training. WordPiece: from left to "
        "right the longest entry that fits. Unigram: the entries that are likeliest together. Bpe "
        "encodes several times as fast.",
    )
    vocab_size: int = Field(
        32_000, ge=512, le=1_000_000, description="Entries, special tokens included."
    )


class TokenizerChoice(Ruled):
    """Where the tokenizer comes from; exactly one field is set."""

    rules: ClassVar = (
        Rule(
            "(has(self.train) ? 1 : 0) + (has(self.dataset) ? 1 : 0) + (has(self.uri) ? 1 : 0) == 1",
            "choose one tokenizer: write train: {vocabSize: N}, dataset: NAME or uri: URI",
        ),
    )

    train: TrainTokenizer | None = Field(None, description="Train one on this data.")
    dataset: Name | None = Field(
        None,
        description="Take that of another Dataset. Datasets that are mixed in one training need "
        "the same tokenizer.",
    )
    uri: Uri | None = Field(
        None,
        description="Take that of a file tokenizer.json, as Hugging Face's libraries write it, of "
        "64 MiB at most. Its template for the ends of a text is left out, and the tokens "
        "<|endoftext|> and <|pad|> are added if it lacks them.",
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
            "!has(self.task) || self.sources.all(s, has(s.synthetic) || s.format in ['Jsonl', 'Parquet'])",
            "task names fields of a record: every source must then be of format Jsonl or Parquet",
        ),
        Rule(
            "self.sources.all(s, self.sources.exists_one(t, t.name == s.name))",
            "sources must have different names",
        ),
        Rule(
            "self.sources.filter(s, has(s.synthetic)).size() <= 1",
            "a Dataset has one synthetic source at most, with up to 8 prompts; write another Dataset "
            "for another model",
        ),
        Rule(
            "self.sources.all(s, !has(s.synthetic) || !has(s.synthetic.seeds.source) || "
            "self.sources.exists(t, t.name == s.synthetic.seeds.source && !has(t.synthetic)))",
            "synthetic.seeds.source must be the name of another source of this Dataset",
        ),
        Rule(
            "self.sources.all(s, has(s.weight)) || self.sources.all(s, !has(s.weight))",
            "sources are mixed by weight only if each has one: give all of them a weight, or none",
        ),
        Rule(
            "!has(self.mixing) || !has(self.mixing.temperature) || "
            "self.sources.all(s, !has(s.weight))",
            "say the shares of sources once: write either a weight in each source or "
            "mixing.temperature",
        ),
        Rule(
            "!has(self.mixing) || has(self.mixing.temperature) || has(self.mixing.tokens) || "
            "self.sources.all(s, has(s.weight))",
            "mixing needs to know the shares of sources: give each source a weight, or write "
            "mixing.temperature or mixing.tokens",
        ),
        Rule(
            "!has(self.task) || (!has(self.mixing) && self.sources.all(s, !has(s.weight)))",
            "weight and mixing are about the tokens of text, and a task about pairs: leave out one "
            "of them, or make two Datasets",
        ),
    )

    revision: Revision = 1
    sources: list[AnySource] = Field(
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
    mixing: Mixing | None = Field(
        None, description="How often the documents of each source come in the training tokens."
    )
    validation: float = Field(
        0.01,
        gt=0,
        le=0.5,
        description="Share of documents held out, chosen by content, so that the same document "
        "is held out in every run.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of the shuffle.")
    keep_documents: bool = Field(
        True,
        description="Keep the documents that stay beside the tokens, as compressed JSON lines: so "
        "that people can look at their data.",
    )
    output: Uri | None = Field(
        None, description="Where artifacts go; the installation's store by default."
    )
    max_pods: int = Field(
        16,
        ge=1,
        le=1000,
        description="Pods at a time. Concurrency only: the result is the same for any value.",
    )

    @property
    def synthetic_source(self) -> AnySource | None:
        """The source that a model writes, if there is one."""
        return next((source for source in self.sources if source.synthetic), None)


class RuleCount(Model):
    """Documents that one rule dropped or of one language, or findings of one kind of private data."""

    name: str = Field(max_length=64, description="The rule, language or kind.")
    count: int = Field(ge=0, description="How many.")


class ClusterCount(Model):
    """Clusters of about one size: a document that stays, and the copies of it that do not."""

    size: int | None = Field(
        None, ge=2, description="Documents of each, at most, and more than in the entry before."
    )
    count: int = Field(ge=1, description="How many clusters.")


class DatasetSummary(Model):
    """What went in, what stayed, what was dropped and why."""

    documents_read: int = Field(ge=0, description="Documents read.")
    documents_kept: int = Field(ge=0, description="Documents that stayed.")
    dropped: list[RuleCount] = Field(
        default_factory=list,
        max_length=32,
        description="Documents dropped, by rule; of more than 24 rules the rarest are `other`.",
    )
    languages: list[RuleCount] | None = Field(
        None,
        max_length=16,
        description="Documents by language; of more than 12 the rarest are `other`.",
    )
    quarantined: list[RuleCount] = Field(
        default_factory=list,
        max_length=16,
        description="Documents that could not be read, by what is broken. The rest of a file from "
        "where it is damaged counts as one.",
    )
    redacted: list[RuleCount] = Field(
        default_factory=list, max_length=16, description="Private data replaced, by kind."
    )
    clusters: list[ClusterCount] = Field(
        default_factory=list,
        max_length=16,
        description="Clusters of copies by size, bounds doubling; the last has none.",
    )
    tokens: int = Field(ge=0, description="Training tokens, with those that mixing repeats.")
    validation_tokens: int = Field(ge=0, description="Held-out tokens.")
    examples: int = Field(0, ge=0, description="Prompt and answer pairs for training.")
    validation_examples: int = Field(0, ge=0, description="Held-out pairs.")
    mixing: list[SourceMix] | None = Field(
        None,
        max_length=8,
        description="What mixing made of the sources; of more than 8, those with the largest shares.",
    )
    vocabulary: int = Field(ge=1, description="Entries of the tokenizer.")
    tokenizer_digest: Digest = Field(description="Identity of the tokenizer.")


class DatasetStatus(Status):
    """What became of the data."""

    inputs_digest: Digest | None = Field(None, description="Digest of the source files as listed.")
    input_bytes: int | None = Field(None, ge=0, description="Size of the source files as listed.")
    parts: int | None = Field(None, description="Parts that the sources are worked on in.")
    listing: str | None = Field(None, max_length=2048, description="Where the listing is stored.")
    summary: DatasetSummary | None = Field(None, description="Counts of the finished artifact.")
    synthetic: SyntheticSummary | None = Field(
        None, description="What a model wrote for the synthetic source."
    )


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
        PLANNED_COLUMN,
        COST_COLUMN,
        AGE_COLUMN,
        Column(
            name="Stage",
            path=".status.progress.stage",
            description="The stage of curation that runs.",
            priority=1,
        ),
        Column(
            name="Worked",
            type="integer",
            path=".status.progress.documents",
            description="Documents that this stage has worked on.",
            priority=1,
        ),
        ATTEMPT_COLUMN,
        WASTED_COLUMN,
    )

    metadata: Metadata
    spec: DatasetSpec = Field(description="What data, and how it is curated.")
    status: DatasetStatus | None = Field(None, description="What became of it.")
