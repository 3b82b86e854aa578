"""For pytest, in the copy that scripts/mutants.py makes: quick tests first, as one that fails is enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

STATS = Path(__file__).with_name("mutmut-stats.json")
SECONDS = json.loads(STATS.read_text())["duration_by_test"] if STATS.is_file() else {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by the time that they took when nothing was changed."""
    items.sort(key=lambda item: SECONDS.get(item.nodeid, 0.0))
