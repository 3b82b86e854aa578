"""What operators saw of an attempt's pods when they wrote its status down, and what that comes to.

Brute force: every status that was written is played again beside the pods that were listed for it,
as the objects they were. It shares no code with the ledger. The rule that it plays:

- a pod that was seen to have ended held its devices until the time that it showed, the last one if
  it showed several; any other until the latest time at which it was written down as running;
- what was charged once is not taken back;
- what was evicted is charged as it stood, and the pods that come then are counted on top of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from cupola_operator.cluster import Object

from .oracle import second
from .runs import Run

if TYPE_CHECKING:
    from .simulation import Simulation


class Look(NamedTuple):
    """A status that was written, and what it was written of."""

    time: int
    """Second of the simulation by the operator's clock."""
    pods: list[Object]
    attempts: list[Object]


class Held(NamedTuple):
    """When a pod held its devices as far as was seen, in seconds of the simulation."""

    begin: int
    end: int
    ended: bool
    """Whether it was seen to have ended."""


@dataclass
class Evidence:
    """What was seen of an attempt up to some look."""

    pods: dict[str, Held] = field(default_factory=dict)
    """Those seen to have started, by uid."""
    evicted: set[str] = field(default_factory=set)
    """Those of them that were evicted."""
    before: int = 0
    """Device seconds that the evicted ones were charged."""
    seconds: int = 0
    """Device seconds that are charged in all."""
    back: bool = False
    """Whether a pod turned out to have held devices for less than was charged."""

    def add(self, look: Look, there: list[tuple[Run, Object]], runs: dict[str, Run]) -> None:
        """Take note of a look at these pods of the attempt, the newest of its stage."""
        for run, pod in there:
            if seen := shown(pod, look.time):
                known = self.pods.get(run.uid)
                self.pods[run.uid] = now = later(known, seen)
                self.back = self.back or (known is not None and now.end < known.end)
        total = self.before + sum(
            runs[uid].gpus * (one.end - one.begin)
            for uid, one in self.pods.items()
            if uid not in self.evicted
        )
        self.seconds = max(self.seconds, total)

    def evict(self) -> None:
        """What was charged so far stays as it is."""
        self.evicted, self.before = set(self.pods), self.seconds


def shown(pod: Object, now: int) -> Held | None:
    """What a pod shows at a time; None if no node has taken it."""
    status = pod.get("status", {})
    if "startTime" not in status:
        return None
    begin = second(status["startTime"])
    if status["phase"] not in ("Succeeded", "Failed"):
        return Held(begin, max(begin, now), ended=False)
    said = status["containerStatuses"][0]["state"].get("terminated", {})
    finished = said.get("finishedAt")
    changes = [second(one["lastTransitionTime"]) for one in status.get("conditions", [])]
    end = second(finished) if finished else max(changes, default=begin)
    return Held(begin, max(begin, end), ended=True)


def later(known: Held | None, seen: Held) -> Held:
    """Of what was known of a pod and what is seen of it, in a list that may be old, the truth."""
    if known is None or seen.ended:
        return seen
    return known if known.ended or known.end > seen.end else seen


def of(sim: Simulation, attempt: Object, uid: str, revision: int) -> Evidence:
    """What was seen of an attempt of a run of the resource of that uid."""
    found, evictions = Evidence(), 0
    stage, number = attempt.get("stage"), attempt["number"]
    mine, runs = (number, revision, uid), sim.nodes.runs
    for look in sim.books.looks[uid, revision]:
        of_stage = [one for one in look.attempts if one.get("stage") == stage]
        if len(of_stage) != number:
            continue
        if of_stage[-1].get("evictions", 0) > evictions:
            evictions = of_stage[-1]["evictions"]
            found.evict()
        there = [
            (run, pod)
            for pod in look.pods
            if (run := runs[pod["metadata"]["uid"]])
            and (run.attempt, run.revision, run.resource) == mine
            and stage in (None, run.stage)
        ]
        found.add(look, there, runs)
    return found
