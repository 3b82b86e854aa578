"""A resource that is deleted while no shell is open: its run is closed into the ledger at once.

Nothing runs then, unless a shell was killed; what that left is ended by the next one.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from cupola_operator.cluster import Key
from cupola_operator.local.store import Store
from cupola_operator.reconcile import Reconciler
from cupola_operator.settings import Settings

SETTINGS = Path(__file__).with_name("settings.yaml")
"""The built-in settings of a laptop. A run that is closed keeps those that it was resolved with."""

_LOOKS = 20
"""More than it takes to close a run of which nothing runs."""


def close(store: Store, key: Key) -> bool:
    """Do what keeps a deleted resource from going; whether it is gone."""
    settings = Settings.model_validate(yaml.safe_load(SETTINGS.read_text(encoding="utf-8")))
    reconciler = Reconciler(store, settings, scrape=lambda _: {})
    for _ in range(_LOOKS):
        if store.get(key) is None:
            return True
        reconciler.reconcile(key)
    return store.get(key) is None
