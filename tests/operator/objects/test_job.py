"""How often a part is tried within an attempt, and how many pods work at a time."""

from __future__ import annotations

from typing import Any

import pytest

from cupola_api.artifact import digest_of
from cupola_operator.build.configmap import config_map
from cupola_operator.build.job import RETRIES_PER_PART, stage_job
from cupola_operator.build.run import curate_run
from cupola_operator.children import Resolved
from cupola_operator.cluster import key_of


def spec_of(kit: Any, parts: int, at_once: int) -> dict[str, Any]:
    value = kit.resource("Dataset")
    value["status"] = {
        "run": {"revision": 1},
        "listing": "file:///data/l.json",
        "inputsDigest": digest_of("files"),
        "parts": parts,
    }
    cluster = kit.Cluster()
    world = kit.world(cluster, key_of(cluster.create(value)))
    run = curate_run(world)
    resolved = Resolved.of(config_map(world, "c", run, kit.SETTINGS.pools[0], "image"))
    job = stage_job(world, resolved, stage="clean", attempt=1, parts=parts, at_once=at_once)
    return dict(job["spec"])


def test_the_only_part_is_tried_once(kit: Any) -> None:
    spec = spec_of(kit, parts=1, at_once=4)
    assert spec["backoffLimit"] == 0
    assert "backoffLimitPerIndex" not in spec


def test_each_of_several_parts_is_tried_again_by_itself(kit: Any) -> None:
    spec = spec_of(kit, parts=2, at_once=4)
    assert spec["backoffLimitPerIndex"] == RETRIES_PER_PART
    assert "backoffLimit" not in spec


@pytest.mark.parametrize(("parts", "at_once", "pods"), [(1, 4, 1), (5, 4, 4), (4, 4, 4), (3, 4, 3)])
def test_no_more_pods_than_allowed_and_than_parts(
    kit: Any, parts: int, at_once: int, pods: int
) -> None:
    spec = spec_of(kit, parts, at_once)
    assert (spec["completions"], spec["parallelism"]) == (parts, pods)
