"""Every metric of Cupola by name: type, unit, labels and what it says. The one place they are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydantic.alias_generators import to_camel

from cupola_api import metrics
from cupola_api.common import FailureClass, Phase
from cupola_api.spent import Causes


class Metric(NamedTuple):
    """A metric as Prometheus knows it."""

    name: str
    type: str
    """gauge, counter or histogram."""
    unit: str
    help: str
    labels: tuple[str, ...] = ()


OBJECT = ("kind", "namespace", "name")
"""Labels of whatever is said of one resource."""

CONDITIONS = ("Ready", "Reconciling", "Stalled", "Suspended", "Succeeded", "Failed", "Outdated")
"""Values of the label `type`; of `phase` and `failure` they are those of the API."""

PHASES = tuple(phase.value for phase in Phase)
FAILURES = tuple(failure.value for failure in FailureClass)

CAUSES = {to_camel(name): name for name in Causes.model_fields}
"""Values of the label `cause`, and the fields of `Causes` that they are."""

_MONEY = "money, in the currency of the label"

BOUNDS = ("low", "expected", "high")
"""Values of the label `bound`: the ends of a range that is meant to hold the truth in 8 of 10 cases."""

FIGURES = ("gpuHours", "wallClockHours", "cost", "energyKwh", "stepSeconds", "mfu", "loss")
"""Values of the label `figure`: fields of status.plan."""


def _forecast(stage: str, when: str, spans: Mapping[str, tuple[str, str]]) -> tuple[Metric, ...]:
    """A metric for each figure of a stage, low, expected and high."""
    cost = Metric(
        f"cupola_run_{stage}_cost",
        "gauge",
        _MONEY,
        f"Money of the run, {when}.",
        (*OBJECT, "currency", "bound"),
    )
    others = [
        Metric(f"cupola_run_{stage}_{name}", "gauge", unit, f"{what}, {when}.", (*OBJECT, "bound"))
        for name, (unit, what) in spans.items()
    ]
    return (cost, *others)


_TIMES = {
    "gpu_seconds": ("device seconds", "Device time of the run"),
    "duration_seconds": ("seconds", "Time that the run has pods"),
    "step_seconds": ("seconds", "Time of an optimizer step"),
}
_QUALITY = {
    "mfu_ratio": ("ratio", "Model FLOPs utilisation"),
    "loss_nats": ("nats", "Loss at the end, nats per token"),
}
_ENERGY = {"energy_joules": ("joules", "Energy of the run")}
_END = {"end_timestamp_seconds": ("seconds", "Unix time at which the run should end")}

FORECASTS = (
    *_forecast("planned", "as planned before its pods start", _TIMES | _ENERGY | _QUALITY),
    *_forecast("projected", "as its measured steps let expect", _TIMES | _END),
    *(
        Metric(f"cupola_run_actual_{name}", "gauge", unit, f"{what}, as it was in the end.", OBJECT)
        for name, (unit, what) in (_TIMES | _QUALITY).items()
        if name != "gpu_seconds"
    ),
    Metric(
        "cupola_run_outside_plan",
        "gauge",
        "0 or 1",
        "1 for a figure of the finished run that was not within its planned range, 0 for each other.",
        (*OBJECT, "figure"),
    ),
)
"""Of status.plan."""

RESOURCES = (
    Metric(
        "cupola_resource_info",
        "gauge",
        "1",
        "Always 1; the revision of the run, and the reason of the condition Ready.",
        (*OBJECT, "revision", "reason"),
    ),
    Metric(
        "cupola_resource_phase",
        "gauge",
        "0 or 1",
        "1 for the phase that the resource is in, 0 for each other one.",
        (*OBJECT, "phase"),
    ),
    Metric(
        "cupola_resource_condition",
        "gauge",
        "0 or 1",
        "1 if the condition is True, 0 if it is False or Unknown; absent if it is not reported.",
        (*OBJECT, "type"),
    ),
    Metric(
        "cupola_run_start_timestamp_seconds",
        "gauge",
        "seconds",
        "Unix time at which the run was resolved, or retried by annotation.",
        OBJECT,
    ),
    Metric(
        "cupola_run_progress_ratio",
        "gauge",
        "ratio",
        "Share of the run that is done, 0 to 1.",
        OBJECT,
    ),
    Metric(
        "cupola_run_eta_timestamp_seconds",
        "gauge",
        "seconds",
        "Unix time at which the run should end.",
        OBJECT,
    ),
    Metric("cupola_run_step", "gauge", "steps", "Optimizer steps done.", OBJECT),
    Metric("cupola_run_steps", "gauge", "steps", "Optimizer steps of the whole run.", OBJECT),
    Metric(
        "cupola_run_loss_nats",
        "gauge",
        "nats",
        "Training loss of the last step, nats per token.",
        OBJECT,
    ),
    Metric("cupola_run_tokens", "gauge", "tokens", "Tokens trained on since step 0.", OBJECT),
    Metric(
        "cupola_run_tokens_per_second",
        "gauge",
        "tokens per second",
        "Training speed over all ranks.",
        OBJECT,
    ),
    Metric(
        "cupola_run_checkpoint_timestamp_seconds",
        "gauge",
        "seconds",
        "Unix time at which the newest checkpoint was complete.",
        OBJECT,
    ),
    Metric(
        "cupola_run_checkpoint_age_seconds",
        "gauge",
        "seconds",
        "Age of the newest checkpoint of a run that is Running or Recovering: what would be lost.",
        OBJECT,
    ),
    Metric(
        "cupola_run_attempts_total",
        "counter",
        "attempts",
        "Attempts of the run, of all its stages.",
        OBJECT,
    ),
    Metric(
        "cupola_run_failures_total",
        "counter",
        "attempts",
        "Attempts of the run that failed, by whose move it was: the restarts by class.",
        (*OBJECT, "failure"),
    ),
    Metric(
        "cupola_run_cost_accrued",
        "gauge",
        _MONEY,
        "What the run has cost so far, all attempts: status.cost.accrued.",
        (*OBJECT, "currency"),
    ),
    Metric(
        "cupola_run_cost_wasted",
        "gauge",
        _MONEY,
        "The part of that which bought nothing, lost work and devices held idle: status.cost.wasted.",
        (*OBJECT, "currency"),
    ),
    Metric(
        "cupola_run_cost_by_cause",
        "gauge",
        _MONEY,
        "What the run has cost so far, by what it went into: status.cost.causes. They add up to "
        "cupola_run_cost_accrued.",
        (*OBJECT, "currency", "cause"),
    ),
    Metric(
        "cupola_run_cost_projected",
        "gauge",
        _MONEY,
        "What the run will have cost at its end, at the present speed: status.cost.projected.",
        (*OBJECT, "currency"),
    ),
    Metric(
        "cupola_run_gpu_seconds_total",
        "counter",
        "seconds",
        "Device seconds held by the run's pods (on a CPU pool: CPU slot seconds).",
        OBJECT,
    ),
    Metric(
        "cupola_run_gpu_seconds_by_cause",
        "gauge",
        "seconds",
        "Those device seconds by what they went into; a cause may lose what another one gets when "
        "more is known.",
        (*OBJECT, "cause"),
    ),
    Metric(
        "cupola_run_queue_seconds_total",
        "counter",
        "seconds",
        "Seconds in which attempts of the run waited for devices and held none.",
        OBJECT,
    ),
    Metric(
        "cupola_run_energy_joules_total",
        "counter",
        "joules",
        "Energy of the run by the stated watts of its pool and the PUE.",
        OBJECT,
    ),
    *FORECASTS,
)
"""Read from the status of resources, in the leading replica alone; a series goes with its object."""

NAMESPACES = (
    Metric(
        "cupola_namespace_cost_spent",
        "gauge",
        _MONEY,
        "What all resources of the namespace spent in the time of its budget (this month, or ever), "
        "deleted ones too.",
        ("namespace", "currency"),
    ),
    Metric(
        "cupola_namespace_cost_limit",
        "gauge",
        _MONEY,
        "The budget of the namespace in the settings: namespaces.budget.maxCost.",
        ("namespace", "currency"),
    ),
)
"""Of each namespace with resources that has a budget, in the leading replica alone."""

OPERATOR = (
    Metric("cupola_build_info", "gauge", "1", "Always 1; the version.", ("version",)),
    Metric("cupola_leader", "gauge", "0 or 1", "1 if this replica holds the Lease and acts."),
    Metric(
        "cupola_ready",
        "gauge",
        "0 or 1",
        "1 if the API server answers and no CRD and no permission of the operator is missing.",
    ),
    Metric("cupola_queue_depth", "gauge", "resources", "Resources that are due and wait."),
    Metric(
        "cupola_reconcile_duration_seconds",
        "histogram",
        "seconds",
        "Time that one look at a resource took, and what was done.",
        ("kind",),
    ),
    Metric(
        "cupola_reconcile_errors_total",
        "counter",
        "looks",
        "Looks at a resource that ended in an error and are tried again.",
        ("kind",),
    ),
    Metric(
        "cupola_api_requests_total",
        "counter",
        "requests",
        'Requests to the API server, each repetition too; code "none": it did not answer.',
        ("verb", "resource", "code"),
    ),
    Metric(
        "cupola_api_request_duration_seconds",
        "histogram",
        "seconds",
        "Time to the answer of a request to the API server; of a watch to its first byte.",
        ("verb", "resource"),
    ),
    Metric(
        "cupola_watch_age_seconds",
        "gauge",
        "seconds",
        "Time since a watch last gave a sign of life; it is opened anew at least every 300 s.",
        ("resource",),
    ),
)
"""Of the operator itself, in every replica."""


def _unit(name: str) -> str:
    units = {
        "_ratio": "ratio",
        "_timestamp_seconds": "seconds",
        "_per_second": "tokens per second",
        "_nats": "nats",
        "_tokens_total": "tokens",
        "_steps_total": "steps",
        "_seconds_total": "seconds",
        "_squared_total": "seconds squared",
        "_passed_over": "checkpoints",
        "_step": "steps",
        "_steps": "steps",
    }
    return next((unit for end, unit in units.items() if name.endswith(end)), "1")


TRAINERS = tuple(
    Metric(name, "counter" if name.endswith("_total") else "gauge", _unit(name), text)
    for name, text in metrics.HELP.items()
)
"""Of rank 0 of a run; `cupola_api.metrics` names them, as operator and trainer meet there."""

BY_NAME = {metric.name: metric for metric in (*RESOURCES, *NAMESPACES, *OPERATOR)}
"""What the operator exports."""
