"""Events by which the operator goes wrong, and what it talks to."""

from __future__ import annotations

from .events import BAD, GOOD, Choice, bad, happen, operator_of
from .operator import Fault, Operator
from .runs import NODES
from .simulation import Simulation
from .specs import FREE, NEWER

KINDS = ("Pod", "Job", "PyTorchJob", "ConfigMap")


@bad(3)
def lag(sim: Simulation, a: int, b: int) -> str | None:
    """Lists of a kind are old."""
    operator, kind = operator_of(sim, a // 4), KINDS[a % 4]
    operator.view.lag[kind] = 1 + b % 4
    return f"lists of {kind} lag {1 + b % 4} versions behind"


@bad(1)
def deaf(sim: Simulation, a: int, b: int) -> str | None:
    operator = operator_of(sim, a)
    operator.deaf = not operator.deaf
    operator.due = None if operator.deaf else sim.now
    return "watch events are lost" if operator.deaf else "the watch starts anew"


@bad(1)
def crash(sim: Simulation, a: int, b: int) -> str | None:
    operator_of(sim, a).restart()
    return "the operator is started anew"


@bad(6)
def faulty(sim: Simulation, a: int, b: int) -> str | None:
    """A reconcile of which one call goes wrong."""
    kinds = ("crash before", "crash after", "refused", "timeout", "conflict", "unavailable")
    kind = kinds[b % len(kinds)]
    at = a % 9 if kind == "unavailable" else a % 3
    operator_of(sim, b // 6).look(Fault(kind, at))
    return f"the operator looks; at call {at}: {kind}"


@bad(5)
def meanwhile(sim: Simulation, a: int, b: int) -> str | None:
    """In the middle of a reconcile, something else happens."""
    names = sorted(
        {**GOOD, **BAD}.keys() - {"faulty", "meanwhile", "rival", "settle", "crash", "deaf"}
    )
    names += ["everybody", "sync", "finish"] * 4
    name = names[b % len(names)]
    stories: list[str | None] = []

    def other() -> None:
        stories.append(happen(sim, Choice(name, a // 16 + b, a)))

    kind, at = ("write", a // 2 % 3) if a % 2 else ("call", a // 2 % 14)
    operator_of(sim, b).look(Fault(kind, at, other))
    return f"the operator looks; before its {kind} {at}: {stories[0] if stories else '(nothing)'}"


@bad(3)
def rival(sim: Simulation, a: int, b: int) -> str | None:
    """In the middle of a reconcile things move on, and another operator acts on it."""
    operator = operator_of(sim, a)
    told: list[str] = []

    def other() -> None:
        going = ("", "everybody acts, and ", "all ends, and ")[b % 3]
        if going:
            sim.round(finish=b % 3 == 2)
        told.append(f"{going}another operator makes {_another(operator).look()} writes")

    kind, at = ("call", a // 2 % 14) if a % 2 else ("write", a // 2 % 2)
    operator.look(Fault(kind, at, other))
    return f"the operator looks; before its {kind} {at}: {told[0] if told else '(nothing)'}"


def _another(operator: Operator) -> Operator:
    """A second operator beside one."""
    return Operator(operator.sim, operator.skew, key=operator.key)


@bad(1)
def upgrade(sim: Simulation, a: int, b: int) -> str | None:
    """A second operator starts while the first one still runs; or the older one ends."""
    if len(sim.operators) > 1:
        del sim.operators[0]
        return "the old operator ends"
    settings, news = [(NEWER, "a new price"), (FREE, "a pool without a price")][b % 3 == 0]
    sim.operators.append(Operator(sim, sim.operators[0].skew, settings))
    return f"a second operator starts, with {news}"


@bad(1)
def skew(sim: Simulation, a: int, b: int) -> str | None:
    """Clocks differ, by less than a minute."""
    if sim.nodes.runs:
        return None
    seconds = (a % 11 - 5) * 10
    if b % 3:
        sim.operators[0].skew = seconds
        sim.skews.append(seconds)
        return f"the operator's clock is {seconds} s ahead"
    sim.nodes.skew[b % NODES] = seconds
    return f"the clock of node {b % NODES} is {seconds} s ahead"
