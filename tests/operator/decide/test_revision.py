from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_operator.children import Job, Pod
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import revision
from cupola_operator.decide.verdict import Delete

JOB = Job(Key("PyTorchJob", "default", "base-ptj-r1-a1"), "j", 1, "pretrain", 1)
POD = Pod(name="p", uid="p", owner="j", revision=1)


@pytest.mark.parametrize(
    ("jobs", "pods", "waits", "deletes"),
    [
        ((), (), False, False),
        ((JOB,), (), True, True),
        ((JOB,), (POD,), True, True),
        ((replace(JOB, deleting=True),), (), True, False),
        ((replace(JOB, complete=True),), (), True, True),
        ((), (POD,), True, False),
        ((), (replace(POD, terminal=True),), False, False),
        ((replace(JOB, revision=2),), (replace(POD, revision=2),), False, False),
        ((replace(JOB, revision=2, attempt=0),), (), True, True),
        ((replace(JOB, revision=2, stage=""),), (), True, True),
    ],
)
def test_what_an_earlier_revision_left_running_ends_first(
    kit: Any, jobs: Any, pods: Any, waits: bool, deletes: bool
) -> None:
    cluster = kit.Cluster()
    key = key_of(cluster.create(kit.resource("PretrainJob", revision=2)))
    verdict = revision.earlier_run_ends(replace(kit.world(cluster, key), jobs=jobs, pods=pods))
    assert (verdict is not None) is waits
    if verdict:
        assert (verdict.phase, verdict.reason) == ("Pending", "EarlierRevisionEnds")
        assert verdict.actions == ((Delete(JOB.key, "j"),) if deletes else ())
        assert verdict.again is not None
