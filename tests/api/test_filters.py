from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cupola_api.dataset import Curation
from cupola_api.filters import QUALITY_RULES, Benchmark, BlockList, Language, Quality, rules_of
from cupola_api.filters import QualityRules as Family
from cupola_api.languages import LANGUAGES

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "curation.md"


@pytest.mark.parametrize("family", Family)
def test_every_rule_of_a_family_may_be_skipped_and_given_a_threshold(family: Family) -> None:
    found = rules_of(family)
    numbered = {name: 0.5 for name, rule in found.items() if rule.default != "none"}
    quality = Quality(rules=family, thresholds=numbered)
    assert {name: quality.threshold(name) for name in numbered} == numbered
    skipped = Quality(rules=family, skip=[*found])
    assert {skipped.threshold(name) for name in found} == {None}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"thresholds": {"stop-word": 1}}, "write one of short-words, .*, stop-words, "),
        ({"thresholds": {"long-line": 1}}, "a rule that Prose does not have"),
        ({"rules": "Code", "thresholds": {"syntax-error": 1}}, "or that has no threshold"),
        ({"rules": "Code", "skip": ["stop-words"]}, "write one of large-file, .*, syntax-error"),
        ({"rules": "C4", "skip": ["short-lines"]}, "skip names a rule that C4 does not have"),
    ],
)
def test_a_rule_that_the_family_does_not_have_is_refused(fields: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Quality.model_validate(fields)


def test_a_rule_has_its_own_threshold_or_the_family_s() -> None:
    quality = Quality(rules="Code", thresholds={"long-line": 500})
    assert (quality.threshold("long-line"), quality.threshold("long-lines")) == (500, 100)
    assert (quality.threshold("numbers"), quality.threshold("syntax-error")) == (None, 0)
    assert Quality(rules="Code", thresholds={"numbers": 0.5}).threshold("numbers") == 0.5


def test_a_language_that_is_not_recognised_is_refused() -> None:
    assert Language(keep=["en", "zxx"]).min_score == 0.65
    with pytest.raises(ValidationError, match="write ISO 639 codes such as en"):
        Language(keep=["en", "xx"])


def test_an_address_matches_once() -> None:
    with pytest.raises(ValidationError, match="leave out minMatches"):
        BlockList(name="sites", uri="store:///sites.txt", matches="Url", min_matches=2)


@pytest.mark.parametrize("field", ["blockLists", "benchmarks"])
def test_two_lists_of_one_name_are_refused(field: str) -> None:
    one = {"name": "a", "uri": "store:///a"}
    wanted: dict[str, Any] = {"blockLists": [{**one, "matches": "Words"}] * 2}
    if field == "benchmarks":
        wanted = {"decontamination": {"benchmarks": [one, one]}}
    with pytest.raises(ValidationError, match=f"{field} must have different names"):
        Curation.model_validate(wanted)


def test_the_files_of_a_curation_are_named_for_their_rules_and_resolved() -> None:
    curation = Curation(
        block_lists=[BlockList(name="a", uri="store:///a.txt", matches="Url")],
        decontamination={"benchmarks": [Benchmark(name="a", uri="store:///b.jsonl")]},
        quality=Quality(),
        classifier={"good": {"uri": "store:///g"}, "bad": {"uri": "store:///w"}},
    )
    resolved = curation.resolved(lambda uri: uri.replace("store:///", "s3://bucket/"))
    assert [(one.name, one.uri) for one in resolved.files()] == [
        ("block-a", "s3://bucket/a.txt"),
        ("classifier-good", "s3://bucket/g"),
        ("classifier-bad", "s3://bucket/w"),
        ("benchmark-a", "s3://bucket/b.jsonl"),
    ]
    assert resolved.quality == curation.quality
    assert Curation().resolved(str.upper) == Curation()
    assert Curation().files() == []


def test_the_page_about_curation_lists_every_language() -> None:
    assert f"`{' '.join(LANGUAGES)}`" in " ".join(PAGE.read_text().split())


def test_the_page_about_curation_lists_every_rule_with_its_threshold() -> None:
    rows = re.findall(
        r"^\| `([a-z0-9-]+)` \| (.*?) \| (.*?) \| (.*?) \|$", PAGE.read_text(), re.MULTILINE
    )
    listed = {name: (families, default, drops) for name, families, default, drops in rows}
    assert listed == {
        name: (", ".join(rule.families), _written(rule.default), rule.drops)
        for name, rule in QUALITY_RULES.items()
    }


def _written(default: float | str) -> str:
    if isinstance(default, str):
        return default.removeprefix("none")
    return f"{default:,}".removesuffix(".0")
