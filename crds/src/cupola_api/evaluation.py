"""kind: Evaluation. A model, measured; thresholds decide whether it passes."""

from __future__ import annotations

from typing import Annotated, ClassVar

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
from cupola_api.common import Metadata, ModelReference, Name, Resource, Revision, Status, Uri
from cupola_api.control import Control
from cupola_api.training import Pools

TaskName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$", max_length=63)]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", max_length=63)]


class PerplexityTask(Model):
    """Perplexity of held-out text; of held-out answers where the Dataset has a task."""

    dataset: Name = Field(description="Name of a Dataset; its validation split is measured.")
    limit: int = Field(
        2000, ge=1, le=10_000_000, description="Documents (or answers) that are measured, at most."
    )


class PythonFunctionTask(Model):
    """Share of generated answers that are exactly one Python function that does something.

    An answer counts when it parses, is one function definition and nothing else, has a body beyond
    a docstring, `pass` or `...`, and was ended by the model itself with its end token.
    """

    dataset: Name = Field(
        description="Name of a Dataset with a task; its held-out prompts are used."
    )
    limit: int = Field(100, ge=1, le=100_000, description="Prompts, at most.")
    max_new_tokens: int = Field(
        256, ge=1, le=65_536, description="Longest answer; one that is not ended by then fails."
    )


class HarnessTask(Model):
    """A task of lm-evaluation-harness, loaded from files: nothing is downloaded."""

    task: TaskName = Field(description="The task's name in its YAML file.")
    data: Uri = Field(
        description="Folder with the task's YAML and its data files; a data_files path in the YAML "
        "is relative to the folder."
    )
    shots: int = Field(0, ge=0, le=64, description="Worked examples before each question.")
    limit: int | None = Field(None, ge=1, le=10_000_000, description="Questions, at most.")


class EvaluationTask(Ruled):
    """One thing to measure; besides its name exactly one field is set."""

    rules: ClassVar = (
        Rule(
            "[has(self.perplexity), has(self.pythonFunction), has(self.harness)]"
            ".filter(x, x).size() == 1",
            "say what the task measures once: write one of perplexity, pythonFunction or harness",
        ),
    )

    name: TaskName = Field(description="Its name in scores and thresholds.")
    perplexity: PerplexityTask | None = Field(None, description="Held-out perplexity.")
    python_function: PythonFunctionTask | None = Field(
        None, description="Share of answers that are one Python function."
    )
    harness: HarnessTask | None = Field(None, description="A task of lm-evaluation-harness.")


class Threshold(Ruled):
    """A score that the model must reach; at least one bound is set."""

    rules: ClassVar = (
        Rule(
            "has(self.min) || has(self.max) || has(self.maxDrop)",
            "a threshold needs a bound: write min, max or maxDrop",
        ),
    )

    task: TaskName = Field(description="Name of a task of this Evaluation.")
    metric: MetricName = Field(description="A metric of that task, such as perplexity or acc.")
    min: float | None = Field(None, description="The score must be at least this.")
    max: float | None = Field(None, description="The score must be at most this.")
    max_drop: float | None = Field(
        None,
        ge=0,
        description="The score may be worse than that of compareTo by at most this, in the "
        "metric's own unit.",
    )


class EvaluationSpec(Control):
    """What to measure, and what is good enough."""

    mutable: ClassVar = Control.mutable | {"thresholds"}
    rules: ClassVar = (
        *Control.rules,
        Rule(
            "self.tasks.all(t, self.tasks.exists_one(u, u.name == t.name))",
            "tasks must have different names",
        ),
        Rule(
            "self.thresholds.all(h, self.tasks.exists(t, t.name == h.task))",
            "each threshold must name a task of this Evaluation in its field task",
        ),
        Rule(
            "has(self.compareTo) || self.thresholds.all(h, !has(h.maxDrop))",
            "a threshold with maxDrop needs compareTo, the model to compare with",
        ),
    )

    revision: Revision = 1
    model: ModelReference = Field(description="The model to measure.")
    compare_to: ModelReference | None = Field(
        None, description="A second model, measured in the same way beside it."
    )
    tasks: list[EvaluationTask] = Field(
        min_length=1, max_length=32, description="What is measured."
    )
    thresholds: list[Threshold] = Field(
        default_factory=list,
        max_length=64,
        description="What is good enough: if one is missed, the Evaluation fails.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of sampling.")
    pools: Pools = Field(default_factory=list)
    output: Uri | None = Field(
        None, description="Where artifacts go; the installation's store by default."
    )


class Score(Model):
    """One measured value."""

    task: str = Field(max_length=63, description="Name of the task.")
    metric: str = Field(max_length=63, description="What was measured.")
    value: float = Field(description="The value for the model.")
    standard_error: float | None = Field(None, description="Standard error of value.")
    chance: float | None = Field(
        None,
        description="What a model that knows nothing would score; lower is worse or better "
        "as higherIsBetter says.",
    )
    compared_to: float | None = Field(None, description="The value for compareTo.")
    compared_standard_error: float | None = Field(None, description="Standard error of comparedTo.")
    higher_is_better: bool = Field(True, description="Whether a larger value is better.")
    samples: int = Field(0, ge=0, description="Questions, answers or documents measured.")


class EvaluationStatus(Status):
    """What was measured."""

    scores: list[Score] = Field(
        default_factory=list, max_length=64, description="The measured values."
    )
    failed_thresholds: list[Annotated[str, Field(max_length=512)]] = Field(
        default_factory=list, max_length=64, description="Thresholds that were missed, in words."
    )


class Evaluation(Resource):
    """A model, measured.

    By perplexity on held-out text, by the functions that it writes, by tasks of lm-evaluation-harness;
    with compareTo, a second model in the same way beside it. Each score comes with its standard error
    and with what a model that knows nothing would reach. If it misses a threshold, it has Failed.
    """

    plural: ClassVar = "evaluations"
    short: ClassVar = "eval"  # ev is what kubectl calls Events
    columns: ClassVar = (
        PHASE_COLUMN,
        REASON_COLUMN,
        PROGRESS_COLUMN,
        Column(name="Task", path=".status.scores[0].task", description="The first task measured."),
        Column(
            name="Score",
            type="number",
            path=".status.scores[0].value",
            description="Its first score.",
        ),
        Column(
            name="Compared",
            type="number",
            path=".status.scores[0].comparedTo",
            description="The same score of the model in spec.compareTo.",
        ),
        PLANNED_COLUMN,
        COST_COLUMN,
        AGE_COLUMN,
        Column(
            name="Metric",
            path=".status.scores[0].metric",
            description="What the score is of.",
            priority=1,
        ),
        ATTEMPT_COLUMN,
        WASTED_COLUMN,
    )

    metadata: Metadata
    spec: EvaluationSpec = Field(description="What to measure, and what is good enough.")
    status: EvaluationStatus | None = Field(None, description="What was measured.")
