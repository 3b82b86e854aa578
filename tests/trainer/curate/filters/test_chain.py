from __future__ import annotations

from cupola_api.dataset import Curation
from cupola_api.filters import BlockList
from cupola_trainer.curate.filters.blocking import Blocking
from cupola_trainer.curate.filters.chain import Filters
from cupola_trainer.curate.filters.decontaminating import Decontaminating
from cupola_trainer.curate.records import Record
from cupola_trainer.curate.samples import Samples
from cupola_trainer.curate.tally import Tally

ENGLISH = (
    "The furnace of a foundry is charged with coke and iron, and that is all it needs to have."
)
GERMAN = (
    "Der Ofen einer Gie\u00dferei wird mit Koks und Eisen beschickt, und mehr braucht er nicht."
)
PASSAGE = "which of these eight metals melts first in a cupola"


def filters(curation: dict[str, object]) -> Filters:
    blocking, decontaminating = Blocking(), Decontaminating(8)
    blocking.add(BlockList(name="words", uri="store:///w", matches="Words"), ["blast"])
    blocking.add(BlockList(name="sites", uri="store:///s", matches="Url"), ["bad.example"])
    decontaminating.add("exam", [[PASSAGE]])
    return Filters(Curation.model_validate(curation), Samples(), blocking, decontaminating)


def test_each_record_is_counted_under_the_first_filter_that_drops_it() -> None:
    tally = Tally()
    batch = [
        Record(ENGLISH),
        Record(f"{GERMAN} blast"),
        Record(GERMAN),
        Record(ENGLISH, url="https://bad.example/x"),
        Record(f"{ENGLISH} So {PASSAGE}?"),
        Record(f"{ENGLISH} And {{ so on."),
    ]
    wanted = {"language": {"keep": ["en"]}, "quality": {"minWords": 5}}
    assert filters(wanted).keep(tally, batch) == batch[:1]
    assert tally.dropped == {
        "block-words": 1,
        "block-sites": 1,
        "language": 1,
        "benchmark-exam": 1,
        "curly-bracket": 1,
    }
    assert tally.languages == {"en": 3, "de": 1}


def test_prompt_and_answer_are_looked_at_too() -> None:
    tally = Tally()
    batch = [
        Record(ENGLISH, "Why?", "Blast!"),
        Record(ENGLISH, PASSAGE, "tin"),
        Record("Why? No blast.", "Why?", "No blast.", composed=True),
        Record(ENGLISH, "Why?", "So."),
    ]
    assert filters({}).keep(tally, batch) == batch[3:]
    assert tally.dropped == {"block-words": 2, "benchmark-exam": 1}


def test_languages_are_counted_without_dropping_any() -> None:
    tally = Tally()
    batch = [Record(ENGLISH), Record(GERMAN)]
    assert filters({"language": {}}).keep(tally, batch) == batch
    assert (tally.dropped, tally.languages) == ({}, {"en": 1, "de": 1})


def test_a_language_that_is_not_sure_enough_is_dropped() -> None:
    tally = Tally()
    wanted = {"language": {"keep": ["en", "de"], "minScore": 1}}
    assert filters(wanted).keep(tally, [Record("iron furnace")]) == []
    assert tally.dropped.keys() <= {"language", "language-unsure"}


def test_lines_are_taken_out_of_documents_but_not_of_a_prompt_and_its_answer() -> None:
    tally = Tally()
    text = f"Title\n\n{ENGLISH}"
    batch = [Record(text), Record(text, "Title", ENGLISH, composed=True), Record(text, "Q", "A")]
    wanted = {"quality": {"rules": "C4", "thresholds": {"few-sentences": 0}}}
    kept = filters(wanted).keep(tally, batch)
    assert [record.text for record in kept] == [ENGLISH, text, ENGLISH]
    assert (kept[2].input, kept[2].output) == ("Q", "A")
    assert tally.lines == {"line-unfinished": 2}


def test_everything_may_be_dropped() -> None:
    tally = Tally()
    assert filters({"language": {}, "quality": {}}).keep(tally, [Record("blast")]) == []
    assert filters({}).keep(tally, []) == []


def test_what_stays_of_a_document_does_not_depend_on_its_neighbours() -> None:
    wanted = {"quality": {"rules": "C4", "thresholds": {"few-sentences": 0}}}
    cited = Record(f"  {ENGLISH[:-1]}[12].\n\n{ENGLISH}")
    alone = filters(wanted).keep(Tally(), [cited])
    beside = filters(wanted).keep(Tally(), [Record(f"Title\n{ENGLISH}"), cited])
    assert alone == beside[1:]
    assert alone[0].text == f"{ENGLISH}\n{ENGLISH}"
