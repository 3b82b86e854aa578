"""Which waiting pods may start: first in, first out, and a gang starts whole or not at all.

If the pods of two trainings started one by one, each could hold half of the machine and wait for
the other half for ever.
"""

from __future__ import annotations

from typing import NamedTuple

from cupola_operator import labels
from cupola_operator.cluster import Object


class Gang(NamedTuple):
    """Pods that start together: those of one PyTorchJob, or one other pod."""

    created: str
    name: str
    pods: tuple[Object, ...]
    missing: int

    @property
    def slots(self) -> int:
        """Slots that its waiting pods take together."""
        return sum(slots_of(pod) for pod in self.pods)


class Verdict(NamedTuple):
    """What becomes of the waiting pods: these start now, and these wait, each for a reason."""

    start: list[Object]
    wait: list[tuple[Object, str]]


def slots_of(pod: Object) -> int:
    """Slots that a pod takes: its label cupola.dev/gpus, at least one."""
    text = pod["metadata"].get("labels", {}).get(labels.GPUS, "1")
    return max(1, int(text)) if text.isdecimal() else 1


def admit(pods: list[Object], *, taken: int, slots: int) -> Verdict:
    """Decide over all pods of the node, `taken` of whose `slots` are in use.

    The first gang in line that does not fit holds the line, so that a large one gets its turn. A
    gang larger than the node runs when the node is idle: it is then only slower. A gang of which
    pods are still to be created does not hold the line.
    """
    verdict = Verdict([], [])
    held = False
    for gang in sorted(_waiting(pods), key=lambda gang: (gang.created, gang.name)):
        fits = not held and (taken + gang.slots <= slots or taken == 0)
        if gang.missing:
            reason = f"waiting for {gang.missing} more pods of its PyTorchJob"
        elif fits:
            verdict.start.extend(gang.pods)
            taken += gang.slots
            continue
        else:
            held = True
            reason = (
                "0/1 nodes are available: "
                f"{max(0, slots - taken)} of {slots} slots are free, {gang.slots} are needed"
            )
        verdict.wait.extend((pod, reason) for pod in gang.pods)
    return verdict


def _waiting(pods: list[Object]) -> list[Gang]:
    """The gangs that have pods to start."""
    members: dict[str, list[Object]] = {}
    for pod in pods:
        members.setdefault(_gang_of(pod), []).append(pod)
    gangs = []
    for together in members.values():
        waiting = [pod for pod in together if _is_waiting(pod)]
        if waiting:
            first = min(waiting, key=lambda pod: pod["metadata"]["name"])["metadata"]
            missing = max(0, _size(waiting[0]) - len(together))
            gangs.append(Gang(first["creationTimestamp"], first["name"], tuple(waiting), missing))
    return gangs


def _is_waiting(pod: Object) -> bool:
    phase = pod.get("status", {}).get("phase", "Pending")
    return phase == "Pending" and "deletionTimestamp" not in pod["metadata"]


def _size(pod: Object) -> int:
    """Pods of the gang, as the training operator tells each of them."""
    for variable in pod["spec"]["containers"][0].get("env", []):
        if variable["name"] == "PET_NNODES":
            return int(variable["value"])
    return 1


def _gang_of(pod: Object) -> str:
    owners = pod["metadata"].get("ownerReferences", [])
    if _size(pod) > 1 and owners:
        return str(owners[0]["uid"])
    return str(pod["metadata"]["uid"])
