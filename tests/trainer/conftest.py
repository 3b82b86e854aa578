"""Trainings in the tests' own process: each finds the environment of a pod run by hand."""

from __future__ import annotations

import pytest

GANG = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what a library of an earlier test set, which would make this one a gang."""
    for name in GANG:
        monkeypatch.delenv(name, raising=False)
