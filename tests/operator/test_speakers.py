from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cupola_api import metrics
from cupola_operator.children import Pod
from cupola_operator.speakers import ASKED, heard

START = datetime(2026, 1, 1, tzinfo=UTC)


def pod(number: int, owner: str = "job", minutes: int = 0, **fields: object) -> Pod:
    made = Pod(
        name=f"{owner}-{number}",
        uid=f"{owner}-{number}",
        owner=owner,
        revision=1,
        attempt=1,
        index=number,
        ip=f"10.0.0.{number}",
        started=START + timedelta(minutes=minutes),
    )
    return replace(made, **fields)


class Network:
    """What pods serve, by address, and who was asked."""

    def __init__(self, **documents: int) -> None:
        self.said = {
            f"10.0.0.{number}": {
                metrics.CURATED_DOCUMENTS: float(count),
                metrics.CURATED_BYTES: 10.0 * count,
                metrics.PROGRESS: count / 100,
            }
            for number, count in ((name.strip("p"), count) for name, count in documents.items())
        }
        self.asked: list[str] = []

    def scrape(self, ip: str) -> Mapping[str, float]:
        self.asked.append(ip)
        return self.said.get(ip, {})


def test_rank_0_of_the_newest_attempt_speaks_for_a_training() -> None:
    pods = [pod(1, master=True), pod(2, master=True, attempt=2), pod(3, attempt=3)]
    network = Network(p2=7)
    assert heard(pods, "PretrainJob", 1, network.scrape)[metrics.CURATED_DOCUMENTS] == 7
    assert network.asked == ["10.0.0.2"]
    assert heard(pods, "PretrainJob", 2, network.scrape) == {}
    assert heard(pods, "Evaluation", 1, network.scrape) == {}
    assert network.asked[1:] == ["10.0.0.3"]


def test_the_pods_of_a_curation_are_added_up() -> None:
    network = Network(p1=10, p2=30)
    said = heard([pod(1), pod(2)], "Dataset", 1, network.scrape)
    assert said[metrics.CURATED_DOCUMENTS] == 40
    assert said[metrics.CURATED_BYTES] == 400
    assert said[metrics.PROGRESS] == pytest.approx(0.2)
    assert metrics.STAGE_DOCUMENTS not in said


def test_a_pod_that_does_not_answer_counts_as_nothing() -> None:
    said = heard([pod(1), pod(2)], "Dataset", 1, Network(p1=10).scrape)
    assert (said[metrics.CURATED_DOCUMENTS], said[metrics.PROGRESS]) == (10, 0.05)
    assert heard([pod(1), pod(2)], "Dataset", 1, Network().scrape) == {}


def test_of_many_pods_some_are_asked_and_the_others_taken_to_be_like_them() -> None:
    many = [pod(number) for number in range(5 * ASKED)]
    network = Network(**{f"p{number}": 10 for number in range(5 * ASKED)})
    said = heard(many, "Dataset", 1, network.scrape)
    assert network.asked == [f"10.0.0.{5 * number}" for number in range(ASKED)]
    assert said[metrics.CURATED_DOCUMENTS] == 10 * 5 * ASKED
    assert said[metrics.PROGRESS] == pytest.approx(0.1)


def test_only_the_pods_of_the_newest_job_are_asked() -> None:
    ended = pod(4, minutes=2, terminal=True)
    pods = [pod(1, "old"), pod(2, "new", 1), ended, pod(5, "new", 1, ip=None)]
    network = Network(p1=10, p2=30, p4=5)
    assert heard(pods, "Dataset", 1, network.scrape)[metrics.CURATED_DOCUMENTS] == 30
    assert network.asked == ["10.0.0.2"]


def test_the_largest_count_of_a_stage_is_taken() -> None:
    network = Network(p1=10, p2=30)
    network.said["10.0.0.2"][metrics.STAGE_DOCUMENTS] = 500.0
    said = heard([pod(1), pod(2)], "Dataset", 1, network.scrape)
    assert said[metrics.STAGE_DOCUMENTS] == 500
