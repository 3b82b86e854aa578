from __future__ import annotations

from cupola_operator.plan.answers import data


def test_a_dataset_that_is_short_is_passed_over_more_than_once() -> None:
    found = data.of_training(3_000, 32_000, [("web", 1_000, 1.0)])
    assert found.epochs == {"web": 3.0}
    assert found.enough is False
    assert 2_000 < found.worth < 3_000


def test_weights_say_how_many_tokens_come_of_each_dataset() -> None:
    found = data.of_training(1_000, 32_000, [("web", 2_000, 3.0), ("code", 100, 1.0)])
    assert found.epochs == {"web": 0.375, "code": 2.5}
    assert found.enough is False


def test_enough_is_said_only_of_datasets_that_are_known() -> None:
    assert data.of_training(1_000, 32_000, [("web", 1_000, 1.0)]).enough is True
    unknown = data.of_training(1_000, 32_000, [("web", 1_000, 1.0), ("code", None, 1.0)])
    assert unknown.enough is None
    assert unknown.unknown == ("code",)
    assert unknown.worth == 1_000
    assert data.of_training(1_000, 32_000, []).enough is None


def test_shards_have_two_bytes_a_token_or_four() -> None:
    assert data.of_training(10, 65_536, []).shard_bytes == 20
    assert data.of_training(10, 65_537, []).shard_bytes == 40
