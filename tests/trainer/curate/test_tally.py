from __future__ import annotations

from collections import Counter

from cupola_trainer.curate.tally import Tally, merge, rule_counts


def test_tallies_of_parts_add_up_and_survive_json() -> None:
    one = Tally(5, 2, Counter({"empty": 2}), Counter({"Email": 1}))
    other = Tally(3, 1, Counter({"empty": 1, "symbols": 1}))
    other.see(["id", "body"])
    other.see(["later"])
    total = merge([one, Tally.from_json(other.to_json())])
    assert (total.read, total.pairs, total.kept) == (8, 3, 4)
    assert total.dropped == {"empty": 3, "symbols": 1}
    assert total.fields == ["id", "body"]
    assert Tally.from_json(total.to_json()) == total


def test_names_of_fields_are_bounded() -> None:
    tally = Tally()
    tally.see("x" * 1000 + str(i) for i in range(1000))
    assert len(tally.fields) == 20
    assert max(map(len, tally.fields)) == 64


def test_counts_for_people_are_ordered_and_without_zeros() -> None:
    counts = rule_counts(Counter({"b": 2, "a": 2, "c": 9, "d": 0}))
    assert [(c.name, c.count) for c in counts] == [("c", 9), ("a", 2), ("b", 2)]
