"""Events by which programs, pods and nodes go wrong."""

from __future__ import annotations

from cupola_api.outcome import FailureClass

from .events import alive, bad, pick
from .runs import NODES
from .simulation import Simulation


@bad(3)
def fail(sim: Simulation, a: int, b: int) -> str | None:
    run = alive(sim, a)
    if run is None:
        return None
    usual = [FailureClass.UNKNOWN, FailureClass.INFRASTRUCTURE] * 3 + [FailureClass.OUT_OF_MEMORY]
    kinds = [*usual, FailureClass.USER, FailureClass.DATA]
    failure = kinds[b % len(kinds)]
    sim.blame[failure.value] += 1
    sim.nodes.fail(run, failure)
    return f"{run.key.name} fails: {failure}"


@bad(2)
def killed(sim: Simulation, a: int, b: int) -> str | None:
    run = alive(sim, a)
    if run is None:
        return None
    code, reason, kind = [
        (137, "OOMKilled", "OutOfMemory"),
        (137, "Error", "Infrastructure"),
        (1, "Error", "Unknown"),
        (0, "Completed", "Unknown"),
        (143, "Error", "Unknown"),
    ][b % 5]
    sim.blame[kind] += 1
    sim.nodes.end(run, code, reason=reason)
    return f"{run.key.name} ends with exit code {code} ({reason}) and says nothing"


@bad(2)
def drained(sim: Simulation, a: int, b: int) -> str | None:
    """A node shuts down in good order, or evicts a pod."""
    run = alive(sim, a)
    if run is None:
        return None
    sim.blame["Infrastructure"] += 1
    why = ["Terminated", "Evicted", "Preempting"][b % 3]
    sim.nodes.terminate(run, (why, "the node says so"))
    return f"{run.key.name} is ended by its node: {why}"


@bad(1)
def evicted_hard(sim: Simulation, a: int, b: int) -> str | None:
    run = alive(sim, a)
    if run is None:
        return None
    sim.blame["Infrastructure"] += 1
    sim.nodes.end(run, 137, disruption=("Evicted", "the node was low on memory"))
    return f"{run.key.name} is evicted without a word"


@bad(1)
def partition(sim: Simulation, a: int, b: int) -> str | None:
    node = a % NODES
    if node in sim.nodes.cut:
        return None
    sim.blame["Infrastructure"] += 1
    sim.nodes.cut_off(node, power=bool(b % 2))
    return f"node {node} {'is cut off; its pods go on' if b % 2 else 'loses power'}"


@bad(1)
def heal(sim: Simulation, a: int, b: int) -> str | None:
    node = pick(sorted(sim.nodes.cut), a)
    if node is None:
        return None
    sim.nodes.heal(node)
    return f"node {node} is back"


@bad(1.5)
def taint(sim: Simulation, a: int, b: int) -> str | None:
    """The cluster asks for deletion of the pods of a node that it does not hear."""
    runs = [run for run in sim.runs() if run.node in sim.nodes.cut]
    for run in runs:
        sim.api.delete(run.key)
    return f"deletion of {[run.key.name for run in runs]} is asked for" if runs else None


@bad(1.5)
def give_up(sim: Simulation, a: int, b: int) -> str | None:
    """The cluster gives up a pod of a node that it does not hear."""
    cut = [run for run in sim.runs() if run.node in sim.nodes.cut and run.taken is not None]
    run = pick(cut, a)
    if run is None:
        return None
    sim.nodes.lose(run)
    if b % 2:
        sim.api.delete(run.key)
        if sim.nodes.pod(run):
            sim.api.remove(run.key)
    return f"{run.key.name} is NodeLost{' and gone' if b % 2 else ''}"


@bad(1)
def forced(sim: Simulation, a: int, b: int) -> str | None:
    """Somebody deletes a pod by force; its kubelet ends it at once, if it hears of it."""
    run = pick(sim.runs(), a)
    if run is None:
        return None
    sim.blame["Infrastructure"] += 1
    sim.api.remove(run.key)
    if run.node not in sim.nodes.cut and run.alive:
        sim.nodes.end(run, 137)
    elif run.taken is not None and run.over is None and run.begun is None:
        run.over = sim.now
    return f"{run.key.name} is deleted by force"


@bad(0.7)
def rebooted(sim: Simulation, a: int, b: int) -> str | None:
    run = alive(sim, a)
    if run is None or run.node in sim.nodes.cut:
        return None
    sim.blame["Infrastructure"] += 1
    sim.nodes.unknown(run)
    return f"the node of {run.key.name} rebooted, and does not know how it ended"


@bad(0.5)
def damage(sim: Simulation, a: int, b: int) -> str | None:
    """The newest checkpoint cannot be read any more."""
    for saved in sim.store.checkpoints.values():
        if saved:
            saved.remove(max(saved))
            return "the newest checkpoint is damaged"
    return None


@bad(0.5)
def mute(sim: Simulation, a: int, b: int) -> str | None:
    sim.nodes.mute = not sim.nodes.mute
    return f"/metrics {'do not answer' if sim.nodes.mute else 'answer'}"


@bad(0.5)
def babble(sim: Simulation, a: int, b: int) -> str | None:
    """A pod ends with a termination message that nobody can read, or that says too much."""
    run = alive(sim, a)
    if run is None:
        return None
    sim.blame["Unknown"] += 1
    texts = (
        "{",
        "[]",
        "x" * 5000,
        '{"outcome": "Succeeded"}',
        '{"outcome": "Stopped", "step": -1}',
    )
    sim.nodes.end(run, b % 2, texts[b // 2 % len(texts)])
    return f"{run.key.name} ends with exit code {b % 2} and babbles"
