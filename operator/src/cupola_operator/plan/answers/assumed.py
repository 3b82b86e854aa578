"""What a plan takes for granted, in sentences: each value, and where it can be said instead."""

from __future__ import annotations

from cupola_operator.plan.answers import data
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import bill as bills
from cupola_operator.plan.money import energy, reliability
from cupola_operator.plan.money.bill import Bill
from cupola_operator.plan.speed.hardware import Machine


def of(machine: Machine, bill: Bill | None, *, training: bool) -> list[str]:
    """The assumptions behind a bill, of which those of the machine can be stated in its pool."""
    if bill is None:
        return []
    said = [
        f"pods compute {_range(bills.START_SECONDS, 1)} s after they start",
        f"a device at work draws {_percent(energy.UTILISATION)} of its {machine.gpu.watts:g} W",
    ]
    unused: set[str] = set() if training else {"failuresPerNodeDay"}
    if bill.devices <= machine.gpus:
        unused.add("network")
    said += [
        sentence
        for figure, sentence in _of_machine(machine)
        if figure in machine.assumed and figure not in unused
    ]
    if machine.friction:
        said.append(
            f"a step takes {_range(machine.friction, 1)} times as long as the roofline says, as the "
            "pool's own runs did"
        )
    if training:
        said += [
            f"a node writes checkpoints at {_range(reliability.SAVE_BANDWIDTH, 1e9)} GB/s",
            f"a run goes on {_range(reliability.RESTART_SECONDS, 60)} minutes after a failure",
            f"a token is {_range(data.BYTES_PER_TOKEN, 1)} bytes of text",
        ]
    if bill.electricity and machine.energy_price is None:
        rate = float(bill.electricity.expected) / bill.energy.kwh.expected
        said.append(f"a kWh costs {rate:.2f} {bill.electricity.currency}")
    if bill.ownership:
        each = bill.ownership.buy / bill.devices
        said.append(
            f"to own a device costs {each:,.0f} {machine.price.currency} and its electricity"
        )
    if bill.spot:
        taken = _percent(reliability.PREEMPTIONS_PER_NODE_MONTH)
        said.append(f"{taken} of spot nodes are taken back in a month")
    return said


def _of_machine(machine: Machine) -> list[tuple[str, str]]:
    """Figure of a pool -> what is assumed of it where the pool does not say."""
    carbon, failures = machine.carbon, machine.failures_per_node_day
    said = {
        "network": f"the network of a node carries {machine.network * 8 / 1e9:g} Gbit/s",
        "hostWatts": f"a node takes {machine.host_watts:g} W besides its devices",
        "pue": f"the data centre's PUE is {machine.pue:g} ({_ends(energy.PUE)})",
        "carbonIntensity": f"a kWh stands for {carbon:g} g of CO2 ({_ends(energy.GRAMS_PER_KWH)})",
        "failuresPerNodeDay": (
            f"a node fails {failures:g} times a day ({_ends(reliability.FAILURES_PER_NODE_DAY)})"
        ),
    }
    return list(said.items())


def _ends(ends: tuple[float, float]) -> str:
    return f"{ends[0]:g} to {ends[1]:g}"


def _range(estimate: Estimate, unit: float) -> str:
    low, expected, high = (value / unit for value in estimate.ends)
    return f"{expected:g} ({low:g} to {high:g})"


def _percent(estimate: Estimate) -> str:
    low, expected, high = (100 * value for value in estimate.ends)
    return f"{expected:g} % ({low:g} to {high:g})"
