"""What is wrong with resources taken together, before anything is started. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cupola_api.common import Resource
from cupola_operator.cluster import Key
from cupola_operator.references import references


def key(resource: Resource) -> Key:
    """The key of a resource."""
    return Key(resource.kind, resource.metadata.namespace, resource.metadata.name)


def problems(
    given: Sequence[Resource], there: Mapping[Key, Resource]
) -> list[tuple[Resource, str]]:
    """(resource, sentence) for each reference that leads nowhere, and for each circle of them.

    `there` are the resources of the work directory; `given` replace those of the same name.
    """
    known = {**there, **{key(resource): resource for resource in given}}
    found = []
    said: set[Key] = set()
    for resource in given:
        for path, wanted in references(resource):
            circle = _way(wanted, key(resource), known)
            if wanted not in known:
                found.append((resource, _missing(path, wanted, known)))
            elif circle and not said.intersection(circle):
                said.update(circle)
                sentence = f"{path}: {wanted} itself waits for {key(resource)}; name another"
                found.append((resource, sentence))
    return found


def _missing(path: str, wanted: Key, known: Mapping[Key, Resource]) -> str:
    others = sorted(k.name for k in known if (k.kind, k.namespace) == wanted[:2])
    have = f"there is {', '.join(others)}" if others else f"there is no {wanted.kind} at all"
    return (
        f"{path}: {wanted} is neither in the files nor in the work directory ({have}); add its "
        f"file with -f, or correct the name"
    )


def _way(start: Key, goal: Key, known: Mapping[Key, Resource]) -> list[Key]:
    """The shortest way along references from `start` to `goal`, both included; empty if none."""
    before: dict[Key, Key | None] = {start: None}
    queue = [start]
    for one in queue:  # which grows
        if one == goal:
            way = [one]
            while (step := before[way[-1]]) is not None:
                way.append(step)
            return way
        for _, other in references(known[one]) if one in known else ():
            if other not in before:
                before[other] = one
                queue.append(other)
    return []
