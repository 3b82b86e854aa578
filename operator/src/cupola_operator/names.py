"""Names of children: deterministic, so that doing a thing twice finds it done.

A name holds kind, revision, stage and attempt. metadata.name is at most 36 characters (a rule of
the API), so names fit; the one that would not (a long stage of a late revision) is cut and told
apart by a hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cupola_api.common import Attempt
from cupola_api.kinds import KINDS

STAGES = ("generate", "list", "clean", "dedup", "tokenise", "publish")
"""The stages of a Dataset, in order; the first is of one with a synthetic source alone."""

_PYTORCHJOB = 52
"""Its pods are `<name>-master-0` and `<name>-worker-4095`, DNS labels of 63 characters at most."""

_JOB = 56
"""Pods of an Indexed Job have the host name `<name>-<index>`, with up to 100,000 indexes."""


def _fit(name: str, suffix: str, longest: int) -> str:
    if len(name) + len(suffix) <= longest:
        return name + suffix
    mark = hashlib.sha256(name.encode()).hexdigest()[:5]
    return f"{name[: longest - len(suffix) - 6].rstrip('-')}-{mark}{suffix}"


def config_map(kind: str, name: str, revision: int, stage: str | None = None) -> str:
    """The ConfigMap of a resolved run: `<name>-ptj-r1`; of a Dataset's listing `<name>-dset-r1-list`."""
    return f"{name}-{KINDS[kind].short}-r{revision}" + (f"-{stage}" if stage else "")


def training_job(kind: str, name: str, revision: int, attempt: int) -> str:
    """The PyTorchJob of an attempt: `<name>-ptj-r1-a1`."""
    return _fit(name, f"-{KINDS[kind].short}-r{revision}-a{attempt}", _PYTORCHJOB)


def job(kind: str, name: str, revision: int, stage: str | None, attempt: int) -> str:
    """The Job of an attempt: `<name>-dset-r1-clean-a1`, `<name>-eval-r1-a1`."""
    middle = f"-{stage}" if stage else ""
    return _fit(name, f"-{KINDS[kind].short}-r{revision}{middle}-a{attempt}", _JOB)


def next_jobs(kind: str, name: str, revision: int, attempts: Sequence[Attempt]) -> list[str]:
    """What the Job of the attempt after `attempts` may be called; of a Dataset one of any stage."""

    def following(stage: str | None) -> int:
        return max((one.number for one in attempts if one.stage == stage), default=0) + 1

    if kind == "Dataset":
        return [job(kind, name, revision, stage, following(stage)) for stage in STAGES]
    if kind == "Evaluation":
        return [job(kind, name, revision, None, following(None))]
    return [training_job(kind, name, revision, following(None))]


def attempt_id(number: int, uid: str) -> str:
    """The folder that only this attempt of this resource writes in: `a1-3f2c9b1e`."""
    return f"a{number}-{uid[:8]}"
