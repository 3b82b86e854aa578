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
    """(resource, sentence) for each reference that leads nowhere or in a circle.

    `there` are the resources of the work directory; `given` replace those of the same name.
    """
    known = {**there, **{key(resource): resource for resource in given}}
    found = []
    for resource in given:
        for path, wanted in references(resource):
            if wanted not in known:
                found.append((resource, _missing(path, wanted, known)))
            elif _leads_to(wanted, key(resource), known):
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


def _leads_to(start: Key, goal: Key, known: Mapping[Key, Resource]) -> bool:
    """Whether following references from `start` arrives at `goal`."""
    seen: set[Key] = set()
    level = {start}
    while level:
        if goal in level:
            return True
        seen |= level
        level = {
            other for one in level if one in known for _, other in references(known[one])
        } - seen
    return False
