"""A Dataset of given sources, for the sections of its report."""

from __future__ import annotations

from typing import Any

from cupola_api import API_VERSION, kinds
from cupola_operator.cluster import Key

KEY = Key("Dataset", "default", "docs")


def dataset(*sources: dict[str, Any]) -> Any:
    """The resource; without sources it has one, web."""
    web = {"name": "web", "uri": "store:///web", "format": "Jsonl"}
    return kinds.parse(
        {
            "apiVersion": API_VERSION,
            "kind": "Dataset",
            "metadata": {"name": KEY.name},
            "spec": {"sources": list(sources) or [web]},
        }
    )
