"""Several runs of a namespace that has a budget, in one cluster: each is reconciled for real."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache

from cupola_operator.cluster import Key, Object
from cupola_operator.cost import namespace
from cupola_operator.settings import Settings

from . import closed, money, properties
from .operator import START, Operator, View
from .properties import Broken, reason, require
from .simulation import Simulation
from .specs import SETTINGS, resource

KIND = "PretrainJob"
ENOUGH = "100000"

EXCEEDED, TOO_SMALL = "NamespaceBudgetExceeded", "NamespaceBudgetTooSmall"
LATE, TOO_SHORT = "DeadlineExceeded", "DeadlineTooShort"
LIMITS = (EXCEEDED, TOO_SMALL, LATE, TOO_SHORT)

STOP = Decimal("2.8")
"""What it costs at least to end a run: 70 s of four devices at a cent a second."""


@lru_cache
def settings(
    most: str, per: str = "Total", then: str = "Suspend", deadline: str | None = None
) -> Settings:
    """Those of an operator whose namespaces have a budget, and a deadline. Always the same object."""
    budget = {"maxCost": most, "per": per, "onExceeded": then}
    rule = {"name": "*", "budget": budget, "deadline": deadline}
    value = SETTINGS.to_json() | {"namespaces": [rule]}
    found = Settings.model_validate(value).namespaces
    return SETTINGS.model_copy(update={"namespaces": found})


def neighbour(number: int) -> Object:
    """The resource of that number; number 0 is the one under test in any simulation."""
    value = resource(KIND)
    if not number:
        return value
    name = f"{value['metadata']['name']}{number}"
    spec = {**value["spec"], "seed": number}
    return {**value, "metadata": {**value["metadata"], "name": name}, "spec": spec}


class _Blame(Counter[str]):
    """What was done to any of the runs: a new one does not make that of the others undone."""

    def clear(self) -> None:
        pass


class Commons(Simulation):
    """A simulation of several resources, each with a worker of its own of the one operator."""

    def __init__(self, number: int, limited: Settings) -> None:
        super().__init__(KIND)
        self.blame = _Blame()
        self.settings = limited
        self.keys = [self.key]
        self.operators = [Operator(self)]
        self.punctual = True
        """Whether operators know all that there is, and nothing comes between what they know and do."""
        for one in range(1, number):
            self.join(one)

    def join(self, number: int) -> None:
        """Another resource comes."""
        value = neighbour(number)
        key = Key(KIND, "default", value["metadata"]["name"])
        self.api.create(value)
        self.keys.append(key)
        self.operators.append(Operator(self, key=key))

    def set_budget(self, limited: Settings) -> None:
        """An administrator changes the settings, and the operator starts anew with them."""
        self.settings = limited
        for operator in self.operators:
            operator.settings = limited
            operator.restart()

    @contextmanager
    def looking_at(self, key: Key) -> Iterator[None]:
        """Inside, that resource is the one under test."""
        before, self.key = self.key, key
        try:
            yield
        finally:
            self.key = before

    def each(self) -> Iterator[Key]:
        """Every resource in turn, each under test for a while."""
        for key in self.keys:
            with self.looking_at(key):
                yield key

    def living(self) -> set[tuple[str, int | None]]:
        found = set()
        for _ in self.each():
            found |= super().living()
        return found

    @property
    def spent(self) -> Decimal:
        """What all runs spent, by status and ledger."""
        total = sum(closed.written(self).values(), Decimal(0))
        for _ in self.each():
            attempts = self.status.get("attempts", [])
            total += sum(Decimal(one.get("cost", "0")) for one in attempts)
        return total

    # What must hold.

    def created(self, value: Object, view: View) -> None:
        """What starts could be stopped before all is spent, and the budget is that of now."""
        super().created(value, view)
        if value["kind"] != "PyTorchJob" or not self.punctual or self.now > 1_000_000:
            return
        budget = self.settings.namespaces[0].budget
        assert budget
        left = Decimal(budget.max_cost) - self.spent
        name = "what starts has room in its namespace"
        require(left >= STOP, name, f"{value['metadata']['name']} starts and {left} is left")

    def patched(self, key: Key, value: Object, view: View) -> None:
        """What the budget holds, it holds as the settings say."""
        before = self.before.get(value["metadata"]["uid"], {})
        super().patched(key, value, view)
        status, budget = value["status"], view.settings.namespaces[0].budget
        assert budget
        if before.get("phase") == status["phase"]:
            return
        if reason(status) == LATE and status["phase"] == "Failed":
            self.troubled = True
        if reason(status) == EXCEEDED and status["phase"] in ("Suspended", "Failed"):
            self.troubled = True  # pods are stopped, and may be given up
            fails = budget.on_exceeded == "Fail" and "leave enough" not in said(status)
            phase = "Failed" if fails else "Suspended"
            require(status["phase"] == phase, "the budget holds as it says", status["phase"])
        if reason(status) == TOO_SMALL:
            require(status["phase"] == "Stalled", "the budget holds as it says", status["phase"])
            require(not status.get("attempts"), "a refused run has not begun", status)

    def books_agree(self) -> None:
        """What each run is told of the others is what they spent, to the last digit."""
        values = [value for key in self.keys if (value := self.api.get(key))]
        ledgers = [
            value
            for key, value in self.api.list("ConfigMap").items()
            if key.name.startswith(closed.PREFIX)
        ]
        for key in self.each():
            if self.resource is None:
                continue
            attempts = self.status.get("attempts", [])
            own = sum((Decimal(one.get("cost", "0")) for one in attempts), Decimal(0))
            found = namespace.of_others(
                values,
                ledgers,
                self.settings,
                uid=self.resource["metadata"]["uid"],
                month=None,
                now=START + timedelta(seconds=self.now),
            )
            name = "the books of a namespace agree"
            require(found[1:] == (0, 0), name, f"{key} hears of {found} at rest")
            require(found.spent + own == self.spent, name, f"{key}: {found}, {own}, {self.spent}")

    # To the end.

    def heal(self) -> None:
        operators, self.operators = self.operators, []
        super().heal()
        self.operators = operators
        for operator in operators:
            operator.view.lag.clear()
            operator.deaf, operator.due = False, self.now

    def end(self) -> None:
        """All goes well from here on, within the budget; then that is raised, and each run ends."""
        self.heal()
        self.finish_upstream()
        self.rest()
        self.books_agree()
        held = {key for key in self.each() if reason(self.status) in LIMITS}
        for key in self.each():
            require(
                key in held or self.resource is None or self.status["phase"] != "Suspended"
                or self.resource["spec"].keys() & {"suspend", "budget"},
                "a hold has a cause", self.status,
            )  # fmt: skip
            require("leave enough" not in said(self.status), "nobody waits in vain", key)
        self.set_budget(settings(ENOUGH))
        self.rest()
        for key in self.each():
            require(
                self.status.get("phase") == "Failed"
                or reason(self.status) not in LIMITS
                or self.resource["spec"].keys() & {"deadline", "budget"},
                "more money and time let it go on",
                f"{key} is {self.status.get('phase')}",
            )
            self._release()
            if self.status.get("phase") == "Failed" and reason(self.status) in LIMITS:
                self._again()
        properties.judge(self)
        self.pure = False
        for key in self.each():
            if key != self.keys[0]:
                _judge(self)
        self.books_agree()


def said(status: Object) -> str:
    """The sentence of where a resource stands."""
    return next((c["message"] for c in status.get("conditions", []) if c["type"] == "Ready"), "")


def _judge(sim: Commons) -> None:
    """What holds of a resource that nobody deleted."""
    properties.nothing_is_leaked(sim)
    properties.it_ends(sim)
    properties.it_ends_well_unless_it_may_not(sim)
    properties.the_artifact_is_that_of_an_undisturbed_run(sim)
    properties.the_artifact_is_of_the_recorded_attempt(sim)
    money.equals_the_truth(sim)


__all__ = ["Broken", "Commons", "settings"]
