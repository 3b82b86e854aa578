"""What all tests share: one thread a process, as in a pod, and no network."""

from __future__ import annotations

import os

import pytest

# Libraries read these when they are imported, so they are set before any test module is.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that train go first, so that no worker is still at one when the others have ended."""
    slow = {item.path for item in items if item.get_closest_marker("local")}
    items.sort(key=lambda item: item.path not in slow)
