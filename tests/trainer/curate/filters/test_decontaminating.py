from __future__ import annotations

from cupola_trainer.curate.filters.decontaminating import Decontaminating

QUESTION = (
    "In which of the following furnaces does a foundry usually melt the iron for its castings?"
)
SHORT = "Who discovered the slag of the cupola furnace?"


def test_a_document_with_a_passage_of_a_benchmark_goes() -> None:
    decontaminating = Decontaminating(13)
    words = len(QUESTION.split())
    assert decontaminating.add("one", [[QUESTION], ["too short", SHORT]]) == words - 12 + 1
    assert decontaminating.add("two", [[QUESTION.upper()]]) == words - 12
    documents = [
        "Q: in which of the FOLLOWING furnaces - does a foundry usually melt the iron, for ...",
        "in which of the following furnaces does a foundry usually melt",
        f"Somebody asked me: {SHORT} I did not know.",
        "too short",
        "",
    ]
    assert decontaminating.judge(documents) == ["benchmark-one", None, "benchmark-one", None, None]


def test_the_length_of_a_passage_is_what_it_was_told() -> None:
    nine = " ".join(QUESTION.split()[2:11])
    loose, strict = Decontaminating(10), Decontaminating(9)
    for one in (loose, strict):
        one.add("b", [[QUESTION]])
    assert loose.judge([nine]) == [None]
    assert strict.judge([nine]) == ["benchmark-b"]
