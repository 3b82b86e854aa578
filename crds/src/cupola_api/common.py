"""What the four kinds share: metadata, references, and the parts of status."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from cupola_api.amounts import Amount, Time
from cupola_api.base import Model, Rule, Ruled
from cupola_api.columns import Column
from cupola_api.forecast import Forecast
from cupola_api.spent import Causes, Spent, Told

Name = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=36)
]
"""A name of a resource: a DNS label of 36 characters at most, so that the longest child fits."""

PLACE = (
    r"^((store|file):///|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/|"
    r"pvc://[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/)[^\x00-\x20\x7f\\]+$"
)
"""Pattern of a place in storage."""

Uri = Annotated[str, Field(pattern=PLACE, max_length=1024)]
"""A place in storage: `store:///path` in the installation's store, `s3://bucket/path`,
`pvc://claim/path` in a PersistentVolumeClaim of the namespace, or `file:///path` (local only)."""

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
"""The sha256 of something, as `sha256:<64 hex digits>`."""

Revision = Annotated[
    int,
    Field(
        ge=1,
        le=999,
        description="The run. Fields that define a run change only together with this number; a "
        "higher one starts a new run, and the artifact of the old one stays.",
    ),
]

NAME_RULE = Rule(
    "self.metadata.name.size() <= 36 && "
    "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
    "metadata.name must be a DNS label (lower-case letters, digits and '-') of at most 36 "
    "characters, so that the names of its children fit",
)


class Metadata(Model):
    """The part of Kubernetes ObjectMeta that Cupola reads. Other fields are kept as they are."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(min_length=1, max_length=253, description="The name; unique by kind.")
    namespace: str = Field("default", max_length=63, description="The namespace.")
    uid: str | None = None
    generation: int = 1
    resource_version: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class ModelReference(Ruled):
    """A model made by another resource of the same namespace; exactly one field is set."""

    rules: ClassVar = (
        Rule(
            "has(self.pretrainJob) != has(self.fineTune)",
            "name exactly one model: write either pretrainJob: NAME or fineTune: NAME",
        ),
    )

    pretrain_job: Name | None = Field(None, description="Name of a PretrainJob.")
    fine_tune: Name | None = Field(None, description="Name of a FineTune.")

    @property
    def kind(self) -> str:
        """The kind that is referred to."""
        return "PretrainJob" if self.pretrain_job else "FineTune"

    @property
    def name(self) -> str:
        """The name that is referred to."""
        return self.pretrain_job or self.fine_tune or ""


class FailureClass(StrEnum):
    """Whose move it is after a failure."""

    USER = "User"
    DATA = "Data"
    OUT_OF_MEMORY = "OutOfMemory"
    INFRASTRUCTURE = "Infrastructure"
    UNKNOWN = "Unknown"


class Phase(StrEnum):
    """Where a resource stands, in one word. For people and columns; programs read conditions."""

    PENDING = "Pending"
    WAITING = "Waiting"
    RUNNING = "Running"
    RECOVERING = "Recovering"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STALLED = "Stalled"
    SUSPENDED = "Suspended"


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One observation of a resource, as in metav1.Condition."""

    type: str = Field(
        max_length=64,
        description="Ready, Reconciling or Stalled (kstatus), Suspended, Succeeded, Failed or "
        "Outdated.",
    )
    status: ConditionStatus = Field(description="Whether it holds.")
    reason: str = Field(
        pattern=r"^[A-Z][A-Za-z0-9]{0,63}$",
        max_length=64,
        description="Why, as one CamelCase word.",
    )
    message: str = Field("", max_length=1024, description="Why, as a sentence for a person.")
    last_transition_time: Time = Field(description="When status last changed; RFC 3339, UTC.")
    observed_generation: int = Field(0, description="The generation that this was said of.")


class RunStatus(Model):
    """The run that the rest of status speaks of."""

    revision: int = Field(description="spec.revision of the run.")
    digest: Digest | None = Field(
        None, description="Digest of the resolved spec and its inputs; names the output folder."
    )
    started_at: Time | None = Field(
        None,
        description="When it was resolved, or retried by annotation; a deadline counts from it.",
    )
    spent_before: Amount | None = Field(
        None,
        description="What earlier resources of this kind and name spent on this revision before they "
        "were deleted; a budget counts it too.",
    )


class Progress(Model):
    """How far the running attempt is, as its rank 0, or the pods of a curation stage, last said."""

    fraction: float = Field(0.0, ge=0, le=1, description="Share of the run that is done, 0 to 1.")
    eta: Time | None = Field(None, description="When it should end; RFC 3339, UTC.")
    step: int | None = Field(None, description="Optimizer steps done.")
    steps: int | None = Field(None, description="Optimizer steps of the whole run.")
    loss: float | None = Field(
        None,
        description="Training loss, nats per token: of the last step that was heard of; at the end, of "
        "the last steps.",
    )
    tokens: int | None = Field(None, description="Tokens trained on.")
    tokens_per_second: float | None = Field(None, description="Training speed, all ranks.")
    checkpoint_step: int | None = Field(None, description="Step of the newest checkpoint.")
    checkpoint_time: Time | None = Field(
        None, description="When the newest checkpoint was complete; RFC 3339, UTC."
    )
    stage: str | None = Field(
        None, max_length=63, description="The stage that runs, where a run has stages."
    )
    documents: int | None = Field(
        None, ge=0, description="Documents that this stage of a Dataset has worked on."
    )
    documents_total: int | None = Field(
        None, ge=0, description="Documents that it works on, where that is known."
    )
    bytes: int | None = Field(
        None,
        ge=0,
        description="Bytes that this stage has worked on: while cleaning, of source files as they lie "
        "in storage; later of text.",
    )
    bytes_total: int | None = Field(
        None, ge=0, description="Bytes that it works on, where that is known."
    )


class Cost(Model):
    """What the run has cost and will cost. Amounts are decimal strings in `currency`.

    A run of which a pool has no price goes without money: what is money is absent then.
    """

    currency: str | None = Field(None, max_length=8, description="ISO 4217 code.")
    accrued: Amount | None = Field(None, description="Spent so far, all attempts.")
    projected: Amount | None = Field(
        None, description="Spent at the end if the present speed and prices hold."
    )
    wasted: Amount | None = Field(
        None,
        description="The part of accrued that bought nothing: lost work, and devices held idle.",
    )
    causes: Causes | None = Field(None, description="Accrued by cause.")
    gpu_hours: Amount = Field(description="Device hours so far (on a CPU pool: CPU slot hours).")
    queue_seconds: Amount = Field(
        "0", description="Seconds in which attempts waited for devices and held none."
    )
    energy_kwh: Amount = Field(
        description="Energy so far by the stated watts of the pool and its PUE, kWh."
    )


class PodTime(Model):
    """A pod of an attempt, and when it held its devices; kept so that it counts when it is gone."""

    uid: str = Field(max_length=64, description="Its uid.")
    gpus: int = Field(0, ge=0, description="Devices that it holds.")
    started_at: Time | None = Field(None, description="When it started; absent = not yet.")
    first_work_at: Time | None = Field(
        None,
        description="When its start-up was over, as a pod of a Job said at its end; absent = not known.",
    )
    until: Time | None = Field(None, description="When it ended, or was last seen running.")
    outcome: str | None = Field(
        None, max_length=63, description="Succeeded or Failed; absent while its end is not seen."
    )
    estimated: bool = Field(False, description="Whether its node did not observe its end.")
    spot: bool | None = Field(
        None,
        description="Whether its node can be taken away and costs the spot price; absent = not known, "
        "or no matter.",
    )


class Attempt(Model):
    """One try of a run: the pods that were started together, and how they ended."""

    number: int = Field(ge=1, description="1 for the first.")
    name: str = Field(max_length=63, description="The PyTorchJob or Job.")
    stage: str | None = Field(None, max_length=63, description="The stage, where a run has stages.")
    pool: str | None = Field(None, max_length=63, description="The pool that it computes on.")
    pods: list[PodTime] = Field(
        default_factory=list,
        max_length=64,
        description="Its pods (the first 64), while it is the newest attempt.",
    )
    evictions: int | None = Field(
        None, ge=1, description="How often Kueue took its devices away and it waited anew."
    )
    evicted: Spent | None = Field(None, description="What its evicted pods used.")
    queued_at: Time | None = Field(
        None, description="When it was made, or evicted last: it waited for devices from then."
    )
    queue_seconds: Amount | None = Field(
        None, description="Seconds that it waited for devices and held none, evictions included."
    )
    started_at: Time | None = Field(None, description="When its first pod started.")
    ended_at: Time | None = Field(None, description="When its last pod ended.")
    gpu_seconds: Amount = Field("0", description="Device seconds used.")
    causes: Causes | None = Field(None, description="Those device seconds by cause.")
    cost: Amount | None = Field(None, description="Money spent; absent without a price.")
    costs: Causes | None = Field(None, description="That money by cause.")
    wasted: Amount | None = Field(
        None, description="The part that bought nothing: lost work, and devices held idle."
    )
    told: Told | None = Field(None, description="What its pods said of their own time.")
    estimated: bool = Field(False, description="Whether its end was not observed but estimated.")
    outcome: str | None = Field(
        None,
        max_length=63,
        description="Succeeded; Failed: by its program; Lost: by the cluster; Stopped: in good "
        "order, from outside; absent while it runs.",
    )
    failure: FailureClass | None = Field(None, description="Whose move it is, if it failed.")
    reason: str | None = Field(None, max_length=64, description="Why, as one word.")
    message: str | None = Field(None, max_length=512, description="Why, as a sentence.")
    checkpoint_step: int | None = Field(None, description="Step of its newest checkpoint.")
    resumed_step: int | None = Field(
        None, description="Step of the checkpoint that it went on from; 0 if it began anew."
    )
    passed_over: int | None = Field(
        None, description="Newer checkpoints that were damaged, if there were any."
    )
    forgiven: bool = Field(
        False, description="Whether a retry by annotation took it off the count of retries."
    )


class Artifact(Model):
    """A finished, verified output: a folder whose manifest.json was written last."""

    uri: str = Field(max_length=2048, description="The folder.")
    digest: Digest = Field(description="sha256 of its manifest.")
    bytes: int = Field(ge=0, description="Size of all its files.")


class Lineage(Model):
    """One thing that an artifact was made from."""

    kind: str = Field(max_length=63, description="What it is: a kind of Cupola, or Source.")
    name: str = Field(max_length=63, description="Its name.")
    digest: Digest = Field(description="Its digest when it was read.")


class Status(Model):
    """What every kind reports. Written by the operator alone; bounded."""

    model_config = ConfigDict(extra="ignore")

    observed_generation: int = Field(0, description="The generation that this status speaks of.")
    phase: Phase = Field(Phase.PENDING, description="Where it stands, in one word.")
    conditions: list[Condition] = Field(
        default_factory=list, max_length=8, description="Observations, one of each type."
    )
    run: RunStatus | None = Field(None, description="The run that this status speaks of.")
    plan: Forecast | None = Field(
        None, description="What the run should take, said before its pods start."
    )
    progress: Progress | None = Field(None, description="How far the run is.")
    cost: Cost | None = Field(None, description="What the run costs.")
    attempts: list[Attempt] = Field(
        default_factory=list, max_length=64, description="The tries of this run, oldest first."
    )
    artifact: Artifact | None = Field(None, description="The output, when there is one.")
    retry: str | None = Field(
        None,
        max_length=253,
        description="The token of the annotation cupola.dev/retry that was handled last.",
    )
    lineage: list[Lineage] = Field(
        default_factory=list, max_length=64, description="What the output is made from."
    )

    def condition(self, kind: str) -> Condition | None:
        """The condition of type `kind`, if it was reported."""
        return next((c for c in self.conditions if c.type == kind), None)


class Resource(Ruled):
    """A resource of one of the four kinds; the subclasses fix spec and status."""

    rules: ClassVar = (NAME_RULE,)
    plural: ClassVar[str]
    short: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]

    api_version: str
    kind: str
    metadata: Metadata
    spec: Any
    status: Any = None

    @classmethod
    def kind_name(cls) -> str:
        """The kind, as written in YAML."""
        return cls.__name__
