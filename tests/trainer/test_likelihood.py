from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from cupola_trainer.likelihood import (
    Scored,
    batches,
    document,
    losses,
    unigram_entropy,
    windows,
)

CONTEXT = 16


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config).eval()


def by_hand(model: LlamaForCausalLM, seen: list[int], scored: list[int]) -> float:
    """-log P(scored | seen), one position at a time."""
    total = 0.0
    with torch.no_grad():
        for token in scored:
            logits = model(input_ids=torch.tensor([seen])).logits[0, -1].double()
            total -= float(logits[token] - logits.exp().sum().log())
            seen = [*seen, token]
    return total


def test_a_loss_is_the_sum_over_the_scored_tokens(model: LlamaForCausalLM) -> None:
    sequence = Scored([3, 1, 4, 1, 5, 9, 2, 6], 3)
    (loss,) = losses(model, [sequence])
    assert loss == pytest.approx(by_hand(model, [3, 1, 4], [1, 5, 9, 2, 6]), rel=1e-5)


def test_company_in_a_batch_changes_nothing(model: LlamaForCausalLM) -> None:
    sequences = [Scored([i % 50 for i in range(7 * n, 7 * n + 2 + n)], 1) for n in range(12)]
    alone = [losses(model, [sequence])[0] for sequence in sequences]
    assert losses(model, sequences) == pytest.approx(alone, rel=1e-5)


def test_a_long_document_is_scored_window_by_window(model: LlamaForCausalLM) -> None:
    ids = [(7 * i) % 50 for i in range(2 * CONTEXT + 5)]
    whole = document(ids, 0)
    (loss,) = losses(model, [whole])
    first = by_hand(model, [0], ids[:CONTEXT])
    second = by_hand(model, [ids[CONTEXT - 1]], ids[CONTEXT : 2 * CONTEXT])
    third = by_hand(model, [ids[2 * CONTEXT - 1]], ids[2 * CONTEXT :])
    assert loss == pytest.approx(first + second + third, rel=1e-5)


def test_a_prompt_that_leaves_no_room_loses_its_beginning(model: LlamaForCausalLM) -> None:
    prompt, answer = list(range(20)), [5, 6, 7]
    (loss,) = losses(model, [Scored([*prompt, *answer], len(prompt))])
    assert loss == pytest.approx(by_hand(model, prompt[-CONTEXT // 2 :], answer), rel=1e-5)


def test_progress_ends_at_one(model: LlamaForCausalLM) -> None:
    said: list[float] = []
    losses(model, [document([1, 2, 3], 0)] * 3, said.append)
    assert said[-1] == 1.0
    assert said == sorted(said)


@given(st.integers(1, 60), st.integers(1, 80), st.integers(1, 20))
def test_windows_score_every_token_once_and_fit(start: int, count: int, context: int) -> None:
    length = start + count
    found = list(windows(0, length, start, context))
    assert [w.scored for w in found] == [start, *(w.end for w in found[:-1])]
    assert found[-1].end == length
    for window in found:
        assert 0 <= window.first < window.scored < window.end
        assert window.end - window.first <= context + 1


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=40))
def test_batches_hold_every_window_once(sizes: list[tuple[int, int]]) -> None:
    pieces = [w for i, (a, b) in enumerate(sizes) for w in windows(i, a + b, a, 16)]
    found = list(batches(pieces, 1 << 20))
    assert sorted(w for batch in found for w in batch) == sorted(pieces)
    for batch in found:
        lengths = [w.end - w.first for w in batch]
        assert lengths == sorted(lengths, reverse=True)


def test_unigram_entropy_is_that_of_the_scored_tokens() -> None:
    sequences = [Scored([9, 9, 1, 1, 2], 2), Scored([9, 3], 1)]
    expected = -(0.5 * math.log(0.5) + 2 * 0.25 * math.log(0.25))
    assert unigram_entropy(sequences) == pytest.approx(expected)
    assert unigram_entropy([Scored([0, 7, 7, 7], 1)]) == 0.0
