"""Trainings in the tests' own process: each finds the environment of a pod run by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Put back what libraries set (RANK, LOCAL_RANK, ...), which would make the next a gang."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)
