from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers.models.llama import LlamaForCausalLM

from cupola_api.run import Shape
from cupola_trainer.model import build, choose_attention
from cupola_trainer.packing import logits_of, within_documents

END = 0
DOCUMENTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [15, 16]]


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    shape = Shape(
        layers=2,
        hidden=32,
        heads=4,
        kv_heads=2,
        ffn=64,
        vocabulary=20,
        context=64,
        tie_embeddings=True,
    )
    made = build(shape, 1)
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(3)  # so that what is attended to matters
    return made


def test_positions_and_sight_begin_anew_with_each_document() -> None:
    given = within_documents(
        torch.tensor([[3, 4, END, 5, END, END, 6], [END, 1, 2, 3, 4, 5, 6]]), END
    )
    assert given["position_ids"].tolist() == [[0, 1, 0, 1, 0, 0, 1], [0, 1, 2, 3, 4, 5, 6]]
    first, second = given["attention_mask"][:, 0].int()
    assert first.tolist() == [
        [1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0, 0],
        [0, 0, 1, 1, 0, 0, 0],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 1, 1],
    ]
    assert torch.equal(second, torch.ones(7, 7, dtype=torch.int32).tril())


@pytest.mark.parametrize("bf16", [False, True])  # with bf16 it is attention by two products
def test_a_packed_document_has_the_logits_that_it_has_alone(
    model: LlamaForCausalLM, bf16: Any
) -> None:
    choose_attention(model, cpu=True, bf16=bf16)
    rows = [
        [one for document in order for one in (END, *document)]
        for order in (DOCUMENTS, DOCUMENTS[::-1])
    ]
    with torch.no_grad():
        packed = logits_of(model, torch.tensor(rows), END)
        across = logits_of(model, torch.tensor(rows), None)
        for row, order in zip((0, 1), (DOCUMENTS, DOCUMENTS[::-1]), strict=True):
            at = 0
            for document in order:
                alone = model(input_ids=torch.tensor([[END, *document]])).logits[0]
                part = slice(at, at + len(alone))
                assert torch.allclose(packed[row, part], alone, atol=1e-5)
                assert (at == 0) == torch.allclose(across[row, part], alone, atol=1e-5)
                at += len(alone)
