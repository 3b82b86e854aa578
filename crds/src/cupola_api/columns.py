"""What `kubectl get` shows of each kind."""

from __future__ import annotations

from cupola_api.base import Model


class Column(Model):
    """A column of `kubectl get`."""

    name: str
    type: str = "string"
    path: str
    description: str = ""
    priority: int = 0


PHASE_COLUMN = Column(
    name="Phase", path=".status.phase", description="Where it stands, in one word."
)
REASON_COLUMN = Column(
    name="Reason",
    path=".status.conditions[?(@.type=='Ready')].reason",
    description="Why it stands there; kubectl describe has the sentence.",
)
PROGRESS_COLUMN = Column(
    name="Progress",
    type="number",
    path=".status.progress.fraction",
    description="Share of the run that is done, 0 to 1.",
)
ETA_COLUMN = Column(
    name="ETA", path=".status.progress.eta", description="When the run should end, UTC."
)
PLANNED_COLUMN = Column(
    name="Planned",
    path=".status.plan.cost.expected",
    description="Money that the run should cost, in status.plan.currency.",
)
COST_COLUMN = Column(
    name="Cost",
    path=".status.cost.accrued",
    description="Money spent so far, in status.cost.currency.",
)
AGE_COLUMN = Column(
    name="Age",
    type="date",
    path=".metadata.creationTimestamp",
    description="Time since it was created.",
)
ATTEMPT_COLUMN = Column(
    name="Attempt",
    type="integer",
    path=".status.attempts[-1:].number",
    description="Number of the newest attempt.",
    priority=1,
)
WASTED_COLUMN = Column(
    name="Wasted",
    path=".status.cost.wasted",
    description="The part of the cost that bought nothing.",
    priority=1,
)
TRAINING_COLUMNS = (
    PHASE_COLUMN,
    REASON_COLUMN,
    PROGRESS_COLUMN,
    Column(
        name="Loss",
        type="number",
        path=".status.progress.loss",
        description="Training loss of the last step, nats per token.",
    ),
    ETA_COLUMN,
    PLANNED_COLUMN,
    COST_COLUMN,
    AGE_COLUMN,
    Column(
        name="Step",
        type="integer",
        path=".status.progress.step",
        description="Optimizer steps done.",
        priority=1,
    ),
    Column(
        name="Steps",
        type="integer",
        path=".status.progress.steps",
        description="Optimizer steps of the whole run.",
        priority=1,
    ),
    Column(
        name="Tokens/s",
        type="number",
        path=".status.progress.tokensPerSecond",
        description="Training speed over all ranks.",
        priority=1,
    ),
    ATTEMPT_COLUMN,
    WASTED_COLUMN,
)
"""Of both kinds that train. Columns of priority 1 are shown by `-o wide` alone."""
