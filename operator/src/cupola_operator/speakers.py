"""What the running pods of a run say on /metrics: rank 0 of a training, or some of a curation's pods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from cupola_api import metrics
from cupola_operator.children import Pod

Scrape = Callable[[str], Mapping[str, float]]
"""From a pod's address to its metrics; empty if it does not answer."""

ASKED = 4
"""Pods of a curation that are asked at a look. The others are taken to be like them on average."""


def heard(pods: Sequence[Pod], kind: str, revision: int, scrape: Scrape) -> Mapping[str, float]:
    """The metrics of the running attempt; empty if nobody answers.

    Of a Dataset: what all running pods of the newest Job together worked on, and the mean of their
    shares.
    """
    running = [pod for pod in pods if pod.running and pod.revision == revision]
    if kind == "Dataset":
        return _together(running, scrape)
    speakers = [pod for pod in running if pod.master or kind == "Evaluation"]
    speaker = max(speakers, key=lambda pod: pod.attempt, default=None)
    return scrape(speaker.ip) if speaker and speaker.ip else {}


def _together(running: Sequence[Pod], scrape: Scrape) -> Mapping[str, float]:
    if not running:
        return {}
    newest = max(running, key=_started)
    pods = [pod for pod in running if pod.owner == newest.owner and pod.ip]
    asked = [pods[i * len(pods) // ASKED] for i in range(ASKED)] if len(pods) > ASKED else pods
    said = [scrape(pod.ip) for pod in asked if pod.ip]
    said = [one for one in said if metrics.CURATED_DOCUMENTS in one]
    if not said:
        return {}
    sums = {name: sum(one.get(name, 0.0) for one in said) for name in _COUNTED}
    # Who does not answer has just begun: it counts as nothing.
    found = {name: value * len(pods) / len(asked) for name, value in sums.items()}
    found[metrics.PROGRESS] /= len(pods)
    known = [one[metrics.STAGE_DOCUMENTS] for one in said if metrics.STAGE_DOCUMENTS in one]
    return found | ({metrics.STAGE_DOCUMENTS: max(known)} if known else {})


_COUNTED = (metrics.CURATED_DOCUMENTS, metrics.CURATED_BYTES, metrics.PROGRESS)


def _started(pod: Pod) -> datetime:
    return pod.started or _NEVER


_NEVER = datetime.min.replace(tzinfo=UTC)
