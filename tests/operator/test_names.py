from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from cupola_api.common import Attempt
from cupola_operator import names

KINDS = st.sampled_from(["Dataset", "PretrainJob", "FineTune", "Evaluation"])
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,34}[a-z0-9])?", fullmatch=True)
REVISIONS = st.integers(1, 999)
STAGES = st.sampled_from([None, "generate", "list", "clean", "dedup", "tokenise", "publish"])
ATTEMPTS = st.integers(1, 99_999)
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def test_names_hold_kind_revision_stage_and_attempt() -> None:
    assert names.config_map("PretrainJob", "base", 2) == "base-ptj-r2"
    assert names.config_map("Dataset", "web", 1, "list") == "web-dset-r1-list"
    assert names.training_job("FineTune", "tuned", 1, 3) == "tuned-ft-r1-a3"
    assert names.job("Dataset", "web", 1, "clean", 2) == "web-dset-r1-clean-a2"
    assert names.job("Evaluation", "exam", 1, None, 1) == "exam-eval-r1-a1"
    assert names.attempt_id(2, "3f2c9b1e-0000") == "a2-3f2c9b1e"


def test_a_name_that_does_not_fit_is_cut_and_marked() -> None:
    name = "a-rather-long-name-of-thirty-six-abcd"[:36]
    assert names.job("Dataset", name, 999, "tokenise", 12) == (
        f"{name[:27]}-{names.hashlib.sha256(name.encode()).hexdigest()[:5]}-dset-r999-tokenise-a12"
    )
    other = names.job("Dataset", name[:-1] + "z", 999, "tokenise", 12)
    assert other != names.job("Dataset", name, 999, "tokenise", 12)


@given(kind=KINDS, name=NAMES, revision=REVISIONS, stage=STAGES, attempt=ATTEMPTS)
def test_every_name_and_those_of_its_pods_fit(
    kind: str, name: str, revision: int, stage: str | None, attempt: int
) -> None:
    training = names.training_job(kind, name, revision, attempt)
    job = names.job(kind, name, revision, stage, attempt)
    assert len(training) <= 52
    for host in (f"{training}-worker-4095", f"{job}-99999"):
        assert len(host) <= 63
        assert LABEL.fullmatch(host)


@given(
    one=st.tuples(NAMES, REVISIONS, STAGES, ATTEMPTS),
    other=st.tuples(NAMES, REVISIONS, STAGES, ATTEMPTS),
)
def test_different_attempts_have_different_names(one: tuple, other: tuple) -> None:
    same = names.job("Dataset", *one) == names.job("Dataset", *other)
    # `a` at stage None with a name ending in `-clean` is no name that Cupola makes of a Dataset.
    if one[2] and other[2]:
        assert same == (one == other)


def test_the_job_of_the_next_attempt_is_foretold() -> None:
    once = [Attempt(number=1, name="x", outcome="Lost")]
    assert names.next_jobs("PretrainJob", "b", 2, []) == ["b-ptj-r2-a1"]
    assert names.next_jobs("FineTune", "b", 2, once) == ["b-ft-r2-a2"]
    assert names.next_jobs("Evaluation", "b", 1, once) == ["b-eval-r1-a2"]
    cleaned = [Attempt(number=3, name="x", stage="clean")]
    assert names.next_jobs("Dataset", "d", 1, cleaned) == [
        "d-dset-r1-generate-a1",
        "d-dset-r1-list-a1",
        "d-dset-r1-clean-a4",
        "d-dset-r1-dedup-a1",
        "d-dset-r1-tokenise-a1",
        "d-dset-r1-publish-a1",
    ]
