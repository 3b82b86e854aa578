"""What holds whatever happens. Each property is a function; `Broken` names the one that does not."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cupola_api.common import Phase
from cupola_api.control import Recovery
from cupola_operator.cluster import Object
from cupola_operator.decide import Create, decide
from cupola_operator.local.controller import phase_of
from cupola_operator.observe import observe
from cupola_operator.resources import read_status  # which remembers nothing

from .operator import START, View
from .program import expected
from .specs import SETTINGS

if TYPE_CHECKING:
    from .simulation import Simulation

TRUE_IN = {
    "Succeeded": {"Ready", "Succeeded"},
    "Failed": {"Stalled", "Failed"},
    "Stalled": {"Stalled"},
    "Suspended": {"Suspended"},
}
UNDER_WAY = {"Reconciling"}
CAMEL = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")
ENDS = {"Succeeded", "Failed", "Stalled"}


class Broken(Exception):
    """A property does not hold."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name


def require(holds: object, name: str, detail: object) -> None:
    if not holds:
        raise Broken(name, str(detail))


# At a create.


def child_is_made_once(sim: Simulation, value: Object) -> None:
    """No child of a name is made twice by the operator, unless a person deleted it."""
    metadata = value["metadata"]
    owner = metadata["ownerReferences"][0]["uid"]
    child = (owner, value["kind"], metadata["name"])
    before = sim.made.get(child)
    sim.made[child] = metadata["uid"]
    if before is not None:
        require(before in sim.by_hand, "a child is made once", f"{child[1:]} is made again")


# After each event.


def one_attempt_lives(sim: Simulation) -> None:
    """Never are pods of two attempts at work, but for one that the cluster had to give up."""
    alive = sim.alive()
    if len(alive) < 2:
        return
    lives = {run.identity: run.name for run in alive if not sim.given_up(run)}
    if len(lives) == len(set(lives.values())):
        return
    owners = {life[0] for life in lives}
    name = "one attempt lives" if len(owners) == 1 else "one attempt lives, also of a namesake"
    raise Broken(name, f"at work are {sorted(lives)}")


def world_is_decided(sim: Simulation) -> None:
    """Any world is decided, always in the same way, on a valid status, with one thing made at most."""
    name = "any world is decided"
    view = View(sim)
    now = START + timedelta(seconds=sim.now)
    world = observe(view, SETTINGS, sim.key, now, sim.nodes.scrape)
    if world is None:
        return
    decision = decide(world)
    require(decide(world) == decision, name, "twice, and in two ways")
    made = [action for action in decision.actions if isinstance(action, Create)]
    require(len(made) <= 1, name, f"makes {len(made)} things at once")
    if decision.status:
        again = read_status(sim.key, decision.status.to_json())
        require(again == decision.status, name, "status is not valid")


# At a status patch.


def status_is_sound(before: Object, status: Object) -> None:
    """What is written is consistent in itself, and with what was written before."""
    conditions_agree(status)
    attempts_are_a_history(before, status)
    money_never_shrinks(before, status)
    the_plan_is_kept(before, status)
    the_forecast_is_sound(status)
    artifact_stays(before, status)


def conditions_agree(status: Object) -> None:
    """Exactly one of Ready, Reconciling, Stalled and Suspended is true, as the phase says."""
    name = "conditions agree"
    phase, said = status["phase"], status["conditions"]
    true, by_type, reasons = set(), {}, set()
    for condition in said:
        by_type[condition["type"]] = condition
        reasons.add(condition["reason"])
        if condition["status"] == "True":
            true.add(condition["type"])
    true.discard("Outdated")
    if true != TRUE_IN.get(phase, UNDER_WAY):
        raise Broken(name, f"in {phase} {true} are true")
    if len(by_type) < len(said):
        raise Broken(name, f"a type twice: {said}")
    for reason in reasons:
        if not CAMEL.fullmatch(reason):
            raise Broken(name, f"reason {reason!r}")
    for kind in ("Ready", *true):
        if kind in by_type and not by_type[kind]["message"]:
            raise Broken(name, f"{kind} says nothing")


def attempts_are_a_history(before: Object, status: Object) -> None:
    """Attempts of a stage are numbered from 1, only the last is open, an end stays as it is.

    The last pods of the newest attempt may still tell better why it ended; never of a success.
    """
    name = "attempts are a history"
    stages: dict[Any, list[Object]] = {}
    for attempt in status.get("attempts", []):
        mine = stages.setdefault(attempt.get("stage"), [])
        if attempt["number"] != len(mine) + 1:
            raise Broken(name, f"number {attempt['number']} follows {len(mine)}")
        if mine and not mine[-1].get("outcome"):
            raise Broken(name, "an early one is open")
        if mine and mine[-1]["outcome"] == "Succeeded":
            raise Broken(name, "success is repeated")
        mine.append(attempt)
    for old in before.get("attempts", []):
        mine, number, end = stages.get(old.get("stage"), []), old["number"], old.get("outcome")
        if len(mine) < number:
            raise Broken(name, f"attempt {number} is forgotten")
        now = mine[number - 1].get("outcome")
        if end and not now:
            raise Broken(name, f"attempt {number} had ended, and runs again")
        if end and now != end and (number < len(mine) or end == "Succeeded"):
            raise Broken(name, f"{old} became {mine[number - 1]}")


def the_plan_is_kept(before: Object, status: Object) -> None:
    """What runs was planned before, and that plan stays as it was said; nothing planned is empty."""
    name = "the plan is kept"
    plan = status.get("plan")
    ran = [attempt for attempt in status.get("attempts", []) if attempt.get("stage") != "list"]
    if plan is None:
        if ran or "plan" in before:
            raise Broken(name, f"attempts {ran} without a plan")
        return
    if "gpuHours" not in plan and not plan.get("notes"):
        raise Broken(name, f"{plan} says nothing, and not why")
    if not any(attempt.get("stage") != "list" for attempt in before.get("attempts", [])):
        return
    old = before["plan"]
    for field in old:
        if field not in ("projection", "actual") and plan.get(field) != old[field]:
            raise Broken(name, f"{field} was {old[field]} and is {plan.get(field)}")


def the_forecast_is_sound(status: Object) -> None:
    """Only what runs is projected, in ranges, for the money of the ledger; what is made says what it took."""
    name = "the forecast is sound"
    plan = status.get("plan")
    if plan is None:
        return
    done = status["phase"] in ("Succeeded", "Failed") and "artifact" in status
    if (done and "actual" not in plan) or ("actual" in plan and "artifact" not in status):
        raise Broken(name, f"in {status['phase']} it took {plan.get('actual')}")
    seen = plan.get("projection")
    if seen is None:
        return
    if status["phase"] != "Running":
        raise Broken(name, f"in {status['phase']} {seen} is projected")
    cost = status["cost"]
    if ("cost" in seen) != ("accrued" in cost):
        raise Broken(name, f"{seen} but {cost}")
    for figure in ("stepSeconds", "wallClockHours", "gpuHours", "cost"):
        if span := seen.get(figure):
            low, expected, high = map(Decimal, (span["low"], span["expected"], span["high"]))
            if not 0 <= low <= expected <= high:
                raise Broken(name, f"{figure} from {low} over {expected} to {high}")
    if Decimal(seen["gpuHours"]["low"]) < Decimal(cost["gpuHours"]):
        raise Broken(name, f"{seen['gpuHours']} in all, and {cost['gpuHours']} are spent")


def money_never_shrinks(before: Object, status: Object) -> None:
    """What was spent stays spent, and no more is wasted than spent."""
    name = "money never shrinks"
    cost = status.get("cost")
    if cost is None:
        require("cost" not in before, name, "cost is forgotten")
        return
    was = Decimal(before.get("cost", {}).get("accrued", "0"))
    if "accrued" not in cost:
        require(not was, name, f"{was} spent is forgotten")
        return
    spent, wasted = Decimal(cost["accrued"]), Decimal(cost["wasted"])
    if spent < was:
        raise Broken(name, f"{was} spent became {spent}")
    if not 0 <= wasted <= spent:
        raise Broken(name, f"{wasted} of {spent} wasted")


def artifact_stays(before: Object, status: Object) -> None:
    """A run has one artifact, for good."""
    old = before.get("artifact")
    if old:
        require(status.get("artifact") == old, "an artifact stays", f"{old} became another")


# At the end.


def judge(sim: Simulation) -> None:
    """All that holds at the end of a history."""
    from . import closed, money  # noqa: PLC0415  they use Broken

    nothing_is_leaked(sim)
    closed.runs_are_in_the_ledger(sim)
    if sim.resource is None:
        nothing_is_left(sim)
        return
    it_ends(sim)
    it_ends_well_unless_it_may_not(sim)
    the_artifact_is_that_of_an_undisturbed_run(sim)
    the_artifact_is_of_the_recorded_attempt(sim)
    status_fits_its_type(sim)
    money.equals_the_truth(sim)


def reason(status: Object) -> str:
    """Why a resource stands where it does."""
    return next((c["reason"] for c in status.get("conditions", []) if c["type"] == "Ready"), "")


def refused_run_has_not_begun(sim: Simulation) -> None:
    """A run that its plan keeps from starting has made nothing but a Dataset's listing."""
    name = "a refused run has not begun"
    stages = {attempt.get("stage") for attempt in sim.status.get("attempts", [])}
    require(sim.status["phase"] == "Stalled", name, sim.status["phase"])
    require(stages <= {"list"}, name, f"stages {stages} ran")
    require(not sim.alive(), name, "pods run")


def suspended_holds_nothing(sim: Simulation) -> None:
    """A run that is held has no pod, and no Job that would make one."""
    name = "a held run holds nothing"
    uid = sim.resource["metadata"]["uid"] if sim.resource else ""
    no_pod_of_a_held_run_lives(sim, uid)
    for kind in ("Job", "PyTorchJob"):
        for key, job in sim.api.list(kind).items():
            true = {c["type"] for c in job.get("status", {}).get("conditions", [])}
            require(true & {"Failed", "Succeeded", "Complete"}, name, f"{key} is at work")


def no_pod_of_a_held_run_lives(sim: Simulation, uid: str) -> None:
    """When a run is said to be held, its pods have ended; that of the resource of a uid."""
    alive = [run for run in sim.alive() if run.resource == uid and not sim.given_up(run)]
    require(not alive, "a held run holds nothing", f"{[run.key.name for run in alive]} run")


def nothing_is_leaked(sim: Simulation) -> None:
    """At rest no pod is alive, and at most the last Job of a stage is there."""
    name = "nothing is leaked"
    live = [
        key.name
        for key, pod in sim.api.list("Pod").items()
        if phase_of(pod) not in ("Succeeded", "Failed")
    ]
    if live:
        raise Broken(name, f"live pods {live}")
    if alive := sim.alive():
        raise Broken(name, f"programs at work {[run.key.name for run in alive]}")
    if sim.resource is None:
        return
    named = {}
    for attempt in sim.status.get("attempts", []):
        named[attempt.get("stage")] = attempt["name"]
    prefix = f"{sim.key.name}-"
    jobs = {
        key.name
        for kind in ("Job", "PyTorchJob")
        for key in sim.api.list(kind)
        if key.name.startswith(prefix)
    }
    if not jobs <= set(named.values()):
        raise Broken(name, f"jobs {jobs} but last attempts are {named}")


def nothing_is_left(sim: Simulation) -> None:
    """Of a resource that was deleted nothing is left but the ledger."""
    left = [
        key
        for kind in ("ConfigMap", "Job", "PyTorchJob", "Pod")
        for key in sim.api.list(kind)
        if key.name.startswith(f"{sim.key.name}-")
    ]
    require(not left, "nothing is left of a deleted resource", left)


def it_ends(sim: Simulation) -> None:
    """At rest a run has Succeeded, Failed or Stalled, with a reason and a sentence."""
    phase = sim.status.get("phase")
    ready = [c for c in sim.status.get("conditions", []) if c["type"] == "Ready"]
    if phase not in ENDS:
        raise Broken("it ends", f"it rests in {phase}: {ready}")
    require(len(ready) == 1 and ready[0]["message"], "it ends", ready)


def it_ends_well_unless_it_may_not(sim: Simulation) -> None:
    """Without failures of the user or the data, and with fewer others than allowed, it Succeeds."""
    if sim.status["phase"] == "Succeeded" or may_fail(sim):
        return
    ready = next(c for c in sim.status["conditions"] if c["type"] == "Ready")
    if sim.torn and ready["reason"] == "RunChanged":
        return
    raise Broken("it ends well", f"{ready['reason']}: {ready['message']}; {dict(sim.blame)}")


def may_fail(sim: Simulation) -> bool:
    """Whether enough was done to the run to make it fail."""
    spec = sim.resource["spec"] if sim.resource else {}
    if "deadline" in spec or spec.get("budget", {}).get("onExceeded") == "Fail":
        return True
    blame = sim.blame
    if blame["User"] or blame["Data"] or blame["Hand"]:
        return True
    limit = Recovery()
    return (
        blame["OutOfMemory"] > limit.out_of_memory
        or blame["Unknown"] > limit.unknown
        or blame["Infrastructure"] > limit.infrastructure
    )


def the_artifact_is_that_of_an_undisturbed_run(sim: Simulation) -> None:
    """The weights are those of a run that nothing disturbed: no step left out or done twice."""
    if sim.status["phase"] != "Succeeded":
        return
    name = "the artifact is that of an undisturbed run"
    run = sim.status["run"]["digest"]
    trains = sim.kind in ("PretrainJob", "FineTune")
    require(sim.status["artifact"]["digest"] == expected(run, trains=trains), name, "other weights")
    if sim.pure:
        require(run == undisturbed(sim.kind), name, "another run")


def the_artifact_is_of_the_recorded_attempt(sim: Simulation) -> None:
    """The artifact in status is what a pod of the attempt that succeeded said."""
    status = sim.status
    if status["phase"] != "Succeeded":
        return
    name = "the artifact is of the recorded attempt"
    won = [a for a in status["attempts"] if a.get("outcome") == "Succeeded"]
    require(won, name, "no attempt succeeded")
    said = [
        run.said
        for run in sim.nodes.runs.values()
        if run.key.name.startswith(won[-1]["name"]) and run.said
    ]
    uri = status["artifact"]["uri"]
    require(any(uri in message for message in said), name, f"nobody said {uri}")


def status_fits_its_type(sim: Simulation) -> None:
    """Status is valid against its type, and nothing in it is lost on the way; in deep histories."""
    if not sim.deep:
        return
    name, status = "status fits its type", sim.status
    model = read_status(sim.key, status)
    if model.to_json() != status:
        raise Broken(name, str(status))
    require(model.phase in Phase, name, model.phase)
    size = len(model.model_dump_json(by_alias=True, exclude_none=True))
    require(size < 65_536, "status is bounded", size)


@lru_cache
def undisturbed(kind: str) -> str:
    """The digest of the run of a resource that nothing ever happened to."""
    from .simulation import Simulation  # noqa: PLC0415

    sim = Simulation(kind)
    sim.heal()
    sim.rest()
    return str(sim.status["run"]["digest"])
