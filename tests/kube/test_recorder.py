from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cupola_operator.cluster import key_of
from cupola_operator.kube.client import Client
from cupola_operator.kube.recorder import LONGEST, again, event

from .apiserver import NOBODY
from .proxy import lost
from .test_client import dataset, made

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VALUE = {
    "apiVersion": "cupola.dev/v1alpha1",
    "kind": "Dataset",
    "metadata": {"name": "data", "namespace": "ns", "uid": "u", "resourceVersion": "7"},
}


def said(value: Any = VALUE, message: str = "well") -> dict[str, Any]:
    return event(value, kind="Normal", reason="Running", message=message, now=NOW)


def test_an_event_points_at_its_object() -> None:
    one = said()
    assert one["involvedObject"] == {
        "apiVersion": "cupola.dev/v1alpha1",
        "kind": "Dataset",
        "namespace": "ns",
        "name": "data",
        "uid": "u",
        "resourceVersion": "7",
    }
    assert (one["type"], one["reason"], one["message"]) == ("Normal", "Running", "well")
    assert (one["firstTimestamp"], one["count"]) == ("2026-01-02T03:04:05Z", 1)


def test_the_name_of_an_event_follows_from_what_it_says() -> None:
    other = {**VALUE, "metadata": {**VALUE["metadata"], "uid": "v"}}  # type: ignore[dict-item]
    names = [one["metadata"]["name"] for one in (said(), said(), said(message="ill"), said(other))]
    assert names[0] == names[1]
    assert len(set(names)) == 3
    assert all(name.startswith("data.") for name in names)


def test_what_is_said_again_is_counted() -> None:
    assert again({"count": 3}, said()) == {"count": 4, "lastTimestamp": "2026-01-02T03:04:05Z"}
    assert again({}, said())["count"] == 2


def test_a_long_message_is_cut() -> None:
    message = said(message="x" * 5000)["message"]
    assert len(message) == LONGEST
    assert message.endswith("...")


@pytest.mark.apiserver
def test_kubectl_describe_tells_the_story(client: Client, server: Any, namespace: str) -> None:
    key = key_of(made(server, dataset(namespace)))
    for reason, message in (
        ("Resolving", "revision 1 is resolved"),
        ("Listing", "attempt 1 starts"),
        ("Listing", "attempt 1 starts"),
        ("Listing", "attempt 1 starts"),
    ):
        client.event(key, kind="Normal", reason=reason, message=message)
    client.event(key, kind="Warning", reason="NameConflict", message="Job x exists")
    story = server.kubectl("describe", "dset", "data", "-n", namespace).partition("Events:")[2]
    lines = [line.split() for line in story.splitlines()[3:] if line.strip()]
    assert sorted(line[:2] for line in lines) == [
        ["Normal", "Listing"],
        ["Normal", "Resolving"],
        ["Warning", "NameConflict"],
    ]
    assert "(x3" in story
    assert "cupola-operator" in story


@pytest.mark.apiserver
def test_an_event_whose_answer_is_lost_is_counted_once_more_and_no_more(
    api: Any, proxy: Any, server: Any, namespace: str
) -> None:
    key = key_of(made(server, dataset(namespace)))
    proxy.misbehave("POST", lost)
    Client(api(url=proxy.url)).event(key, kind="Normal", reason="Running", message="well")
    events = server.call("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
    assert [one["count"] for one in events] == [2]


@pytest.mark.apiserver
def test_an_event_that_cannot_be_recorded_fails_nothing(
    api: Any, server: Any, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = key_of(made(server, dataset(namespace)))
    Client(api(NOBODY)).event(key, kind="Normal", reason="Running", message="well")
    assert "an Event of Dataset/data is not recorded: the operator may not get datasets" in (
        caplog.text
    )
