"""Policy: what is asked for is not valid."""

from __future__ import annotations

from cupola_operator.decide.verdict import Verdict, stalled
from cupola_operator.world import World


def invalid(world: World) -> Verdict | None:
    """A spec that does not fit the API is Stalled with reason InvalidSpec and says what to write.

    The API server refuses such a spec; one can still be there from before an upgrade. What runs is
    left alone.
    """
    if world.resource is None:
        return stalled("InvalidSpec", world.invalid)
    return None
