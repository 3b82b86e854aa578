"""What the oracle of money takes note of while a history is played."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cupola_operator.cluster import Key
from cupola_operator.settings import Settings

if TYPE_CHECKING:
    from .evidence import Look


@dataclass
class Books:
    """Prices that were known, and when things were made. Times are seconds of the simulation."""

    resolved: list[tuple[Key, str, str, int]] = field(default_factory=list)
    """ConfigMaps of runs: key, uid of the resource, placement as JSON, when it was made."""
    charged: defaultdict[tuple[str, str], list[Settings]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Settings of the operators that wrote an attempt, by uid of the resource and name."""
    made: dict[tuple[str, str], float] = field(default_factory=dict)
    """When jobs were made, by uid of the resource and name."""
    looks: defaultdict[tuple[str, int], list[Look]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Statuses that were written, by uid of the resource and revision of the run."""
