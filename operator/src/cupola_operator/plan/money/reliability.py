"""What fails during a run, how often to save, and the share of time that makes progress.

Failures come at a constant rate (exponential), as Daly 2006 ("A higher order estimate of the
optimum checkpoint interval for restart dumps", Future Generation Computer Systems 22) assumes. A
save takes `save` seconds in which nothing is computed; after a failure the run is back at its last
checkpoint `restart` seconds later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cupola_operator.plan.estimate import Estimate

DAY = 86_400.0
MONTH = 30.44 * DAY

FAILURES_PER_NODE_DAY = (0.0038, 0.0141)
"""Ends of the interruptions a day of a node of eight GPUs, where the pool does not state them.

Llama 3 405B: 419 unexpected ones in 54 days on 2,048 nodes (arXiv 2407.21783, section 3.3.4).
OPT-175B: over 100 hosts cycled and 35 restarts by hand in about two months on 124 nodes
(arXiv 2205.01068, section 2.5), taken as 105 in 60 days. BLOOM, with one or two a week on 48 nodes
(arXiv 2211.05100, section 3.4), lies between them.
"""

PREEMPTIONS_PER_NODE_MONTH = Estimate(0.05, 0.10, 0.25)
"""Share of spot nodes that are taken back in a month.

The Spot Instance Advisor of AWS sorts instance types into bands of it: under 5 %, 5 to 10, 10 to
15, 15 to 20, over 20 %. Large GPU instances lie in the upper ones; which, changes by the week.
"""

SAVE_BANDWIDTH = Estimate(0.25e9, 1e9, 4e9)
"""Bytes a second that a node writes to the store, where nobody stated it: an assumption."""

RESTART_SECONDS = Estimate(120, 300, 900)
"""From a failure until the run computes again where it had saved: an assumption."""


@dataclass(frozen=True)
class Reliability:
    """What a run of a given length meets."""

    interval: Estimate
    """Seconds of work between two checkpoints; the best one has the name `best`."""
    failures: Estimate
    """Failures during the run, of which each one costs the work since the last checkpoint."""
    goodput: Estimate
    """Share of the wall-clock time that makes progress; 0 to 1."""


def best_interval(save: float, between: float) -> float:
    """Seconds of work between two checkpoints that lose the least time (Daly 2006, equation 37).

    Its first term is Young's sqrt(2 d M) (1974); `save` is d, `between` the mean time between
    failures M. Raises ValueError if one of them is not above 0.
    """
    if save <= 0 or between <= 0:
        raise ValueError("a save and the time between failures must take time")
    if save >= 2 * between:
        return between
    ratio = save / (2 * between)
    return math.sqrt(2 * save * between) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - save


def goodput(interval: float, save: float, restart: float, between: float) -> float:
    """Work over wall-clock time: Daly 2006, equation 20. 0 where hardly anything is ever saved."""
    exponent = (interval + save) / between
    if exponent > 700 or restart / between > 700:
        return 0.0
    return interval / (between * math.exp(restart / between) * math.expm1(exponent))


def of_run(
    *,
    work: Estimate,
    nodes: int,
    save: Estimate,
    restart: Estimate,
    interval: float | None,
    failures_per_node_day: Estimate,
) -> Reliability:
    """What a run of `work` seconds on `nodes` nodes meets.

    `interval`: seconds between checkpoints as the spec says; None: the best one. Failures, saves and
    restarts are uncertain independently of each other; the run lasts longer the less of its time
    makes progress.
    """
    rates = failures_per_node_day * (nodes / DAY)

    def share(rate: float, saving: float, restarting: float) -> float:
        between = 1 / max(rate, 1e-15)
        taken = interval or best_interval(saving, between)
        return max(1e-6, goodput(taken, saving, restarting, between))

    middle = (rates.expected, save.expected, restart.expected)
    worse = (
        (rates.high, *middle[1:]),
        (middle[0], save.high, middle[2]),
        (*middle[:2], restart.high),
    )
    finer = ((rates.low, *middle[1:]), (middle[0], save.low, middle[2]), (*middle[:2], restart.low))
    expected = share(*middle)
    down = math.hypot(*(math.log(expected / share(*one)) for one in worse))
    up = math.hypot(*(math.log(share(*one) / expected) for one in finer))
    shares = Estimate(expected * math.exp(-down), expected, min(1.0, expected * math.exp(up)))
    between = [1 / max(rate, 1e-15) for rate in rates.ends]
    return Reliability(
        interval=Estimate(
            best_interval(save.low, between[2]),
            best_interval(save.expected, between[1]),
            best_interval(save.high, between[0]),
        ),
        failures=work.over(shares).times(rates),
        goodput=shares,
    )


def preemptions_per_node_day(share_of_a_month: Estimate) -> Estimate:
    """The rate at which spot nodes are taken back, from the share that is in a month."""
    return share_of_a_month.rising(lambda share: -math.log1p(-share) / MONTH * DAY)
