"""Events of a run that goes well."""

from __future__ import annotations

from .events import alive, good, operator_of, pick
from .properties import Broken
from .simulation import Simulation


@good(9)
def everybody(sim: Simulation, a: int, b: int) -> str | None:
    """Controllers, kubelets and operators do what there is to do."""
    return "everybody does what there is to do" if sim.round() else None


@good(5)
def look(sim: Simulation, a: int, b: int) -> str | None:
    operator = operator_of(sim, a)
    if operator.busy:
        return None
    return f"operator {a % len(sim.operators)} looks: {operator.look()} writes"


@good(2)
def sync(sim: Simulation, a: int, b: int) -> str | None:
    return "the job controllers look" if sim.controllers.sync() else None


@good(1)
def collect(sim: Simulation, a: int, b: int) -> str | None:
    return "the garbage collector looks" if sim.controllers.collect() else None


@good(2)
def take(sim: Simulation, a: int, b: int) -> str | None:
    run = pick([run for run in sim.runs() if run.taken is None], a)
    return f"a node takes {run.key.name}" if run and sim.nodes.take(run) else None


@good(3)
def start(sim: Simulation, a: int, b: int) -> str | None:
    run = pick([run for run in sim.runs() if run.begun is None], a)
    return f"{run.key.name} starts" if run and sim.nodes.start(run) else None


@good(4)
def train(sim: Simulation, a: int, b: int) -> str | None:
    run = alive(sim, a)
    if run is None or not sim.nodes.train(run, 1 + b % 3):
        return None
    return f"{run.key.name} trains {1 + b % 3} steps"


@good(3)
def save(sim: Simulation, a: int, b: int) -> str | None:
    run = alive(sim, a)
    if run and sim.nodes.wait(run, b % 4, saves=True):
        sim.now += b % 4
    return f"{run.key.name} makes a checkpoint" if run and sim.nodes.save(run) else None


@good(1)
def validate(sim: Simulation, a: int, b: int) -> str | None:
    run = alive(sim, a)
    if run is None or not sim.nodes.wait(run, 1 + b % 5, saves=False):
        return None
    sim.now += 1 + b % 5
    return f"{run.key.name} validates for {1 + b % 5} s"


@good(3)
def finish(sim: Simulation, a: int, b: int) -> str | None:
    run = alive(sim, a)
    return f"{run.key.name} comes to its end" if run and sim.nodes.finish(run) else None


@good(2)
def stop(sim: Simulation, a: int, b: int) -> str | None:
    for run in sim.runs():
        if sim.nodes.stop(run):
            return f"{run.key.name} gets SIGTERM, as its deletion was asked for"
    return None


@good(1)
def remove(sim: Simulation, a: int, b: int) -> str | None:
    for run in sim.runs():
        if sim.nodes.remove(run):
            return f"{run.key.name} is gone"
    return None


@good(2)
def wait(sim: Simulation, a: int, b: int) -> str | None:
    sim.now += 1 + a % 20
    return f"{1 + a % 20} s pass"


@good(1)
def wait_long(sim: Simulation, a: int, b: int) -> str | None:
    sim.now += 50 + 10 * (a % 40)
    return f"{50 + 10 * (a % 40)} s pass"


@good(0.5)
def settle(sim: Simulation, a: int, b: int) -> str | None:
    """The operator looks again and again at the same time: it comes to rest."""
    operator = operator_of(sim, a)
    operator.view.lag.clear()
    for _ in range(12):
        if not operator.look():
            return "the operator looks until it has nothing to do"
    raise Broken("a fixed point", "the operator writes on and on, and time stands still")
