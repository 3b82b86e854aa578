from __future__ import annotations

import pytest

from cupola_operator import handlers
from cupola_operator.kube.places import CHILDREN, PLACES, WATCHED
from cupola_operator.kube.watching import DEAD_SECONDS, Signs, Stream, stream_of


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("/api/v1/pods", Stream("pods")),
        ("/api/v1/namespaces/ns/pods", Stream("pods", "ns")),
        ("/apis/batch/v1/jobs", Stream("jobs")),
        ("/apis/cupola.dev/v1alpha1/namespaces/ns/datasets", Stream("datasets", "ns")),
        ("/apis/batch/v1", Stream("")),
        ("/apis", Stream("")),
        ("/api/v1/namespaces", Stream("namespaces")),
    ],
)
def test_a_path_says_what_is_streamed(path: str, stream: Stream) -> None:
    assert stream_of(path) == stream


def test_the_path_of_a_place_is_read_back() -> None:
    for kind in WATCHED:
        for namespace in ("", "ns"):
            expected = Stream(PLACES[kind].plural, namespace)
            assert stream_of(PLACES[kind].path(namespace)) == expected


def test_a_watch_ages_until_it_gives_a_sign() -> None:
    now = [100.0]
    signs = Signs(lambda: now[0])
    signs.expect([Stream("pods"), Stream("jobs")])
    now[0] = 110.0
    signs.of(Stream("pods"))
    now[0] = 111.0
    assert signs.ages() == {"jobs": 11.0, "pods": 1.0}


def test_of_several_namespaces_the_quietest_watch_counts() -> None:
    now = [100.0]
    signs = Signs(lambda: now[0])
    signs.expect([Stream("pods", "a"), Stream("pods", "b")])
    now[0] = 160.0
    signs.of(Stream("pods", "a"))
    assert signs.ages() == {"pods": 60.0}


def test_what_is_not_watched_gives_no_signs() -> None:
    signs = Signs(lambda: 1.0)
    signs.of(Stream("pods"))
    assert signs.ages() == {}


def test_a_watch_is_opened_anew_before_it_counts_as_dead() -> None:
    chosen = handlers.settings().watching
    assert chosen.server_timeout is not None
    assert chosen.client_timeout is not None
    assert chosen.server_timeout < chosen.client_timeout < DEAD_SECONDS
    assert chosen.inactivity_timeout < DEAD_SECONDS


def test_only_what_cupola_made_is_streamed_of_kinds_that_others_use() -> None:
    selectors = handlers.settings().watching.label_selectors
    for kind in CHILDREN:
        place = PLACES[kind]
        assert selectors[place.group, place.version, place.plural] == (
            "app.kubernetes.io/managed-by=cupola"
        )
    assert len(selectors) == len(CHILDREN)


def test_kopf_stores_nothing_in_objects() -> None:
    registry = handlers.registry(WATCHED, lambda *_: None, lambda: None)
    assert len(registry._watching.get_all_handlers()) == len(WATCHED)
    assert not list(registry._changing.get_all_handlers())
    assert not list(registry._spawning.get_all_handlers())
    assert not handlers.settings().posting.enabled
