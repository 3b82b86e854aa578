from __future__ import annotations

from cupola_api.artifact import digest_of
from cupola_api.common import Condition, Lineage, ModelReference, Status
from cupola_api.run import Input

CONDITIONS = [
    Condition.model_validate(
        {"type": kind, "status": status, "reason": "Said", "lastTransitionTime": "2026-01-01"}
    )
    for kind, status in (("Ready", "False"), ("Stalled", "True"))
]


def test_a_condition_is_found_by_its_type() -> None:
    status = Status(conditions=CONDITIONS)
    assert status.condition("Stalled") == CONDITIONS[1]
    assert status.condition("Ready") == CONDITIONS[0]
    assert status.condition("Failed") is None
    assert Status().condition("Ready") is None


def test_a_reference_says_what_it_refers_to() -> None:
    trained, tuned = ModelReference(pretrain_job="a"), ModelReference(fine_tune="b")
    assert (trained.kind, trained.name) == ("PretrainJob", "a")
    assert (tuned.kind, tuned.name) == ("FineTune", "b")


def test_an_input_of_a_run_is_an_entry_of_its_lineage() -> None:
    digest = digest_of("data")
    entry = Input(kind="Dataset", name="data", uri="file:///data", digest=digest).lineage()
    assert entry == Lineage(kind="Dataset", name="data", digest=digest)
