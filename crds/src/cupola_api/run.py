"""The run contract: one resolved, immutable file, `run.yaml`, from the operator to the pods.

Every default is filled in, every reference is a URI with a digest, so a pod needs nothing else and
can be run again by hand: `python -m cupola_trainer <verb> run.yaml`. Its digest (of everything but
where things lie: what they hold is named by digests) names the run and its output folder, so the
same work has the same digest in any store.

What differs between the attempts of a run comes by environment variable: `ATTEMPT`, and what changes
no result of theirs: `HANG_TIMEOUT`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, TypeAdapter

from cupola_api.artifact import digest_of
from cupola_api.base import CHECKED, Model
from cupola_api.common import Digest, Lineage, Name
from cupola_api.dataset import Curation, NamedFile, Source, Task, TokenizerAlgorithm
from cupola_api.evaluation import EvaluationTask
from cupola_api.finetune import Tuning
from cupola_api.mixing import Mixing
from cupola_api.synthetic import Endpoint, Prompt
from cupola_api.training import Attention, Optimizer, Precision

ATTEMPT = "CUPOLA_ATTEMPT"
"""Environment variable: the attempt's id, a folder name; an attempt writes nowhere else."""

HANG_TIMEOUT = "CUPOLA_HANG_TIMEOUT"
"""Environment variable: spec.stability.hangTimeout of a training."""

ORDER = 2
"""The order in which a PretrainRun's samples come; a trainer knows only the one of its own version."""

LOG = "CUPOLA_LOG"
"""Environment variable: the URI of the file that keeps what the pod prints."""

_MOST_RANGES = 64
_PARTS_OF_RANGE = 8
_ANSWERS_A_POD = 2000
_MOST_SHARES = 1000

POD_IP = "POD_IP"
"""Environment variable: the address that rank 0 serves /metrics on."""

POD_NAME = "CUPOLA_POD"
"""Environment variable: the name of the pod."""

TERMINATION_LOG = "TERMINATION_LOG"
"""Environment variable: the file for the termination message."""


class Input(Model):
    """An artifact that a run reads."""

    kind: str = Field(description="Kind of the resource that made it.")
    name: str = Field(description="Name of the resource that made it.")
    uri: str = Field(description="Its folder.")
    digest: Digest = Field(description="Its digest; the pod checks it.")

    def lineage(self) -> Lineage:
        """The entry for manifests and status."""
        return Lineage(kind=self.kind, name=self.name, digest=self.digest)


class World(Model):
    """The processes of a training."""

    nodes: int = Field(ge=1, description="Pods.")
    gpus_per_node: int = Field(ge=1, description="Ranks a pod.")
    threads: int = Field(ge=1, description="CPU threads a rank.")
    device: Literal["Cpu", "Gpu"] = Field(description="What a rank computes on.")

    @property
    def size(self) -> int:
        """Number of ranks."""
        return self.nodes * self.gpus_per_node


_PLACES = {"output", "listing", "uri", "folder"}


def _without_places(value: Any) -> Any:
    """A run's JSON without the fields that only say where something lies."""
    if isinstance(value, dict):
        return {k: _without_places(v) for k, v in value.items() if k not in _PLACES}
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    return value


class _Run(Model):
    namespace: str
    name: str
    output: str = Field(description="Folder of this resource; the run's folder lies below it.")

    @property
    def digest(self) -> str:
        """Identity of the run: of everything in it but where things lie."""
        return digest_of(_without_places(self.to_json()))

    @property
    def folder(self) -> str:
        """The URI of the run's folder: `<output>/<first 16 hex digits of the digest>`."""
        return f"{self.output}/{self.digest.removeprefix('sha256:')[:16]}"


class ListRun(_Run):
    """List the files of a Dataset's sources and group them into parts."""

    kind: Literal["ListRun"] = "ListRun"
    sources: list[Source] = Field(description="With resolved URIs.")
    files: list[NamedFile] | None = Field(
        None, description="What curation reads besides, with resolved URIs."
    )


class SeedsOf(Model):
    """The real documents that prompts are about."""

    source: Source | None = Field(None, description="Files, with resolved URIs, or ...")
    written: str | None = Field(
        None, description="The URI of those as in the spec: other files are another run."
    )
    dataset: Input | None = Field(None, description="... the documents of a Dataset.")
    max_characters: int


class GenerateRun(_Run):
    """Let a model write the documents of a synthetic source."""

    kind: Literal["GenerateRun"] = "GenerateRun"
    source: Name = Field(description="The source that they are for.")
    model: Input | None = Field(None, description="A model of Cupola, or ...")
    hugging_face: str | None = Field(None, description="... one of the hub, at a commit, or ...")
    endpoint: Endpoint | None = Field(None, description="... a service.")
    prompts: list[Prompt]
    seeds: SeedsOf
    documents: int = Field(ge=1, description="Answers to ask for.")
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    concurrency: int = Field(ge=1, description="Answers that a pod writes at a time.")
    budget_tokens: int | None = Field(None, description="Tokens that all pods may use up.")
    budget_cost: str | None = Field(None, description="What an endpoint may take in all.")
    threads: int = Field(ge=1, description="CPU threads of a pod.")
    device: Literal["Cpu", "Gpu"] = "Cpu"

    @property
    def shares(self) -> int:
        """Pods in all: one for each 2,000 answers, but 1,000 at most."""
        return min(-(-self.documents // _ANSWERS_A_POD), _MOST_SHARES)

    @property
    def prompts_digest(self) -> str:
        """Identity of what is asked."""
        return digest_of([prompt.to_json() for prompt in self.prompts])

    @property
    def writer(self) -> str:
        """The name of the model in lineage and reports."""
        if self.endpoint:
            return self.endpoint.model
        if self.model:
            return f"{self.model.kind} {self.model.name}"
        return self.hugging_face or ""


class CurateRun(_Run):
    """Curate and tokenise what a listing found."""

    kind: Literal["CurateRun"] = "CurateRun"
    sources: list[Source]
    listing: str = Field(description="URI of the listing.")
    listing_digest: Digest
    parts: int = Field(ge=1)
    curation: Curation
    vocab_size: int | None = Field(None, description="Train a tokenizer of this size, or ...")
    algorithm: TokenizerAlgorithm = TokenizerAlgorithm.BPE
    tokenizer: Input | None = Field(None, description="... take that of another Dataset, or ...")
    tokenizer_file: NamedFile | None = Field(None, description="... of a file, which is listed.")
    task: Task | None = None
    validation: float
    seed: int
    documents: bool = Field(False, description="Whether the documents that stay are kept as text.")
    mixing: Mixing | None = Field(None, description="How sources are mixed, if they are.")

    @property
    def ranges(self) -> int:
        """Pods that look for copies side by side, each in a range of what documents share.

        One for each eight parts, as each has less to do than those that clean; every part is cut
        into as many, so there are 64 at most.
        """
        wanted = -(-self.parts // _PARTS_OF_RANGE) if self.curation.dedup else 1
        return min(wanted, _MOST_RANGES)


class Shape(Model):
    """A Llama-style decoder, complete."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    vocabulary: int
    context: int
    tie_embeddings: bool = Field(description="Whether input and output embeddings are one matrix.")


class Hyperparameters(Model):
    """The optimizer's settings, complete."""

    optimizer: Optimizer
    learning_rate: float
    warmup_steps: int
    final_ratio: float = Field(description="Last learning rate as a share of the peak.")
    weight_decay: float
    gradient_clipping: float
    precision: Precision
    seed: int


class WeightedInput(Input):
    """A Dataset and its share of the training sequences."""

    weight: float


class PretrainRun(_Run):
    """Train a model from scratch."""

    kind: Literal["PretrainRun"] = "PretrainRun"
    datasets: list[WeightedInput]
    order: int = Field(1, description="Which order of samples it was planned for; now `ORDER`.")
    shape: Shape
    attention: Attention = Attention.ACROSS_DOCUMENTS
    steps: int = Field(ge=1, description="Optimizer steps.")
    sequences_per_step: int = Field(ge=1, description="Global batch, in sequences of context.")
    micro_batch: int = Field(ge=1, description="Sequences a rank takes at once.")
    hyperparameters: Hyperparameters
    world: World
    zero_stage: int = Field(ge=0, le=3)
    activation_checkpointing: bool
    checkpoint_seconds: int = Field(ge=1, description="Time between two checkpoints.")
    checkpoint_keep: int = Field(ge=1)


class FineTuneRun(_Run):
    """Tune a model on prompt and answer pairs."""

    kind: Literal["FineTuneRun"] = "FineTuneRun"
    base: Input
    dataset: Input
    tuning: Tuning
    epochs: float
    examples_per_step: int
    micro_batch: int = Field(ge=1, description="Examples a rank takes at once.")
    max_length: int = Field(description="Tokens of prompt and answer.")
    warmup_ratio: float
    hyperparameters: Hyperparameters
    world: World
    zero_stage: int = Field(ge=0, le=3)
    activation_checkpointing: bool
    checkpoint_seconds: int = Field(ge=1, description="Time between two checkpoints.")
    checkpoint_keep: int = Field(ge=1)


class ResolvedTask(Model):
    """A task of an Evaluation with its data."""

    task: EvaluationTask
    dataset: Input | None = Field(None, description="Of perplexity and pythonFunction.")
    folder: str | None = Field(None, description="Resolved URI of a harness task's data.")


class EvaluateRun(_Run):
    """Measure one model, or two beside each other."""

    kind: Literal["EvaluateRun"] = "EvaluateRun"
    model: Input
    compare_to: Input | None = None
    tasks: list[ResolvedTask]
    seed: int
    threads: int = Field(ge=1, description="CPU threads of the pod.")
    device: Literal["Cpu", "Gpu"]


Run = Annotated[
    ListRun | GenerateRun | CurateRun | PretrainRun | FineTuneRun | EvaluateRun,
    Field(discriminator="kind"),
]

_RUN: TypeAdapter[Run] = TypeAdapter(Run)


def dump(run: Run) -> str:
    """The text of run.yaml."""
    return yaml.safe_dump(run.to_json(), sort_keys=True)


def load(path: Path) -> Run:
    """Read run.yaml. Raises OSError, yaml.YAMLError or pydantic.ValidationError.

    Rules over fields were asked by who made the run of a resource; here only types are checked.
    """
    return _RUN.validate_python(yaml.safe_load(path.read_text()), context=CHECKED)
