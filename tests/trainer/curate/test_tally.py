from __future__ import annotations

from collections import Counter

from cupola_api.common import Artifact
from cupola_api.dataset import DatasetSummary, PiiKind
from cupola_api.filters import QUALITY_RULES
from cupola_api.languages import LANGUAGES
from cupola_api.outcome import Outcome, read
from cupola_trainer.curate.tally import Tally, merge, rule_counts


def test_tallies_of_parts_add_up_and_survive_json() -> None:
    one = Tally(5, 2, dropped=Counter({"empty": 2}), redacted=Counter({"Email": 1}))
    other = Tally(
        4,
        1,
        dropped=Counter({"empty": 1, "symbols": 1}),
        quarantined=Counter({"nul": 1}),
        files=2,
        damaged=1,
        first_bad="a.jsonl, line 2: nul",
    )
    other.see(["id", "body"])
    other.see(["later"])
    total = merge([one, Tally.from_json(other.to_json())])
    assert (total.read, total.pairs, total.kept) == (9, 3, 4)
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


def test_languages_and_lines_add_up_and_are_absent_where_there_are_none() -> None:
    one = Tally(
        languages=Counter({"en": 2}),
        lines=Counter({"line-policy": 3}),
        line_bytes=Counter({"duplicate-line": 90}),
    )
    total = merge([one, Tally.from_json(one.to_json()), Tally(languages=Counter({"de": 1}))])
    assert total.languages == {"en": 4, "de": 1}
    assert total.lines == {"line-policy": 6}
    assert total.line_bytes == {"duplicate-line": 180}
    assert not {"languages", "lines", "lineBytes"} & Tally(read=1).to_json().keys()


def test_what_a_summary_has_no_room_for_is_one_count() -> None:
    counts = Counter({f"rule-{i:02d}": 100 - i for i in range(60)})
    counted = rule_counts(counts)
    assert [c.name for c in counted] == [f"rule-{i:02d}" for i in range(24)] + ["other"]
    assert sum(c.count for c in counted) == counts.total()
    assert rule_counts(Counter(a=1, b=2), most=2)[-1].name == "a"


def test_the_largest_summary_fits_in_a_termination_message() -> None:
    rules = sorted([*QUALITY_RULES, *(f"benchmark-{'x' * 22}{i:02d}" for i in range(40))], key=len)
    longest = Counter(dict.fromkeys(rules[-60:], 10**10))
    codes = Counter(dict.fromkeys(LANGUAGES, 10**10))
    summary = DatasetSummary(
        documents_read=10**12,
        documents_kept=10**12,
        dropped=rule_counts(longest),
        redacted=rule_counts(Counter({str(kind): 10**10 for kind in PiiKind})),
        languages=rule_counts(codes, most=12),
        tokens=10**14,
        validation_tokens=10**12,
        vocabulary=10**6,
        tokenizer_digest=f"sha256:{'0' * 64}",
    )
    artifact = Artifact(uri=f"s3://{'x' * 200}", digest=f"sha256:{'0' * 64}", bytes=10**14)
    outcome = Outcome(outcome="Succeeded", message="x" * 100, artifact=artifact, dataset=summary)
    assert read(outcome.write()) == outcome
