"""Ten thousand resources of each kind, most of them spoilt: refused in words, or they work."""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any

import pytest
from pydantic import ValidationError

from cupola_api import errors
from cupola_api.common import Resource
from cupola_api.kinds import KINDS, parse, update_error

from .generate import example, resource, spoil
from .worlds import RESTING, Things

RESOURCES = 10_000
"""Of each kind."""
BLOCKS = 10
"""Tests that they are shared among, so that several processes can work on them."""
LOOKS = 20
"""A Dataset of five stages, all of which end well, rests after eight."""

PLACE = re.compile(r"(spec|metadata|status|kind|apiVersion)\b|.{1,70}: there is no field ")
REMEDY = re.compile(
    r"\b(write|add|keep|must|did you mean|it has|one of|raise|give|change|name|choose|needs|say|use)\b"
)
JARGON = re.compile(
    r"Input should|Extra inputs|valid (string|integer|number|boolean|list|dictionary)|instance of|"
    r"[Vv]alue error|pydantic|\b\w+_(error|type|parsing)\b|Traceback|<class|Decimal|StrEnum|\^\["
)


def said(value: dict[str, Any]) -> tuple[Resource | None, list[str]]:
    """The resource of an object, or the sentences that refuse it."""
    try:
        return parse(value), []
    except ValidationError as error:
        return None, errors.sentences(error, KINDS[value["kind"]])


def check_sentence(sentence: str) -> None:
    assert PLACE.match(sentence), "it names no field"
    assert REMEDY.search(sentence), "it says no remedy"
    assert sentence.isprintable(), "it is more than one line of text"
    assert len(sentence) < 600
    assert not JARGON.search(sentence), "it speaks of how it was found"


def check_works(made: Resource, value: dict[str, Any]) -> None:
    """It is read back as it was written, and decided on until it rests."""
    plain = made.to_json()
    assert parse(json.loads(json.dumps(plain, allow_nan=False))).to_json() == plain
    things = Things(value)
    for _ in range(LOOKS):
        decision = things.decide()
        if decision.status is None:  # the finalizer is set first
            assert decision.actions
            continue
        assert {"Ready", "Reconciling", "Stalled"} <= {c.type for c in decision.status.conditions}
        if decision.status.phase in RESTING:
            return
    raise AssertionError(f"after {LOOKS} looks it does not rest: {decision}")


def check_update(kind: str, made: Resource) -> None:
    before = parse(example(kind))
    sentence = update_error(before, made)
    assert sentence is None or ("raise spec.revision" in sentence and len(sentence) < 600)


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("kind", list(KINDS))
def test_any_resource_is_refused_in_words_or_works(kind: str, block: int) -> None:
    rng = random.Random(f"{kind} {block}")
    refused = worked = 0
    for number in range(RESOURCES // BLOCKS):
        value = resource(rng, kind)
        ways = [spoil(rng, value) for _ in range(0 if number % 10 == 0 else rng.choice([1, 2, 3]))]
        before = copy.deepcopy(value)
        try:
            made, sentences = said(value)
            for sentence in sentences:
                check_sentence(sentence)
            if made is None:
                assert sentences
                refused += 1
                continue
            worked += 1
            check_works(made, value)
            check_update(kind, made)
        except Exception as error:
            error.add_note(
                f"resource {number} of block {block}: {ways}\n{json.dumps(before)[:3000]}"
            )
            raise
    assert refused > RESOURCES // BLOCKS // 4
    assert worked > RESOURCES // BLOCKS // 20
