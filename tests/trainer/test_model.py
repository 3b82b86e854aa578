from __future__ import annotations

import pytest
import torch

from cupola_api.run import Shape
from cupola_trainer.model import build, choose_attention, losses

SHAPE = Shape(
    layers=2,
    hidden=64,
    heads=4,
    kv_heads=2,
    ffn=96,
    vocabulary=500,
    context=48,
    tie_embeddings=True,
)


def test_a_seed_gives_one_model_and_leaves_other_chance_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first = build(SHAPE, 1)
    assert torch.equal(torch.rand(1), expected)
    torch.manual_seed(8)
    second, third = build(SHAPE, 1), build(SHAPE, 2)
    for (name, a), b in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b), name
    embedding = "model.embed_tokens.weight"
    assert not torch.equal(first.get_parameter(embedding), third.get_parameter(embedding))


def test_matrices_start_small_and_the_residual_ones_smaller() -> None:
    model = build(SHAPE.model_copy(update={"layers": 8}), 0)
    for name, weight in model.named_parameters():
        if weight.ndim == 1:
            assert (weight == 1).all(), name
        else:
            residual = name.endswith(("o_proj.weight", "down_proj.weight"))
            expected = 0.02 / 4 if residual else 0.02
            assert float(weight.detach().std()) == pytest.approx(expected, rel=0.1), name


@pytest.mark.parametrize("tied", [True, False])
def test_embeddings_are_tied_when_asked(tied: bool) -> None:
    model = build(SHAPE.model_copy(update={"tie_embeddings": tied}), 0)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) is tied
    assert ("lm_head.weight" in dict(model.named_parameters())) is not tied


def _loss_and_gradients(model: torch.nn.Module, tokens: torch.Tensor) -> list[torch.Tensor]:
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    loss = losses(logits, tokens[:, 1:]).mean()
    model.zero_grad()
    loss.backward()
    return [loss.detach(), *(weight.grad.clone() for weight in model.parameters())]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4), (torch.bfloat16, 0.1)]
)
def test_the_fast_attention_is_attention(dtype: torch.dtype, tolerance: float) -> None:
    model = build(SHAPE, 0).to(dtype)
    tokens = torch.randint(500, (3, 49), generator=torch.Generator().manual_seed(0))
    expected = _loss_and_gradients(model, tokens)
    choose_attention(model, cpu=True, bf16=True)
    assert model.config._attn_implementation == "causal_products"
    for got, wanted in zip(_loss_and_gradients(model, tokens), expected, strict=True):
        scale = float(wanted.abs().max())
        assert float((got - wanted).abs().max()) <= tolerance * scale


@pytest.mark.parametrize(
    ("cpu", "bf16", "context"), [(False, True, 48), (True, False, 48), (True, True, 1024)]
)
def test_elsewhere_pytorch_chooses(cpu: bool, bf16: bool, context: int) -> None:
    model = build(SHAPE.model_copy(update={"context": context}), 0)
    choose_attention(model, cpu=cpu, bf16=bf16)
    assert model.config._attn_implementation == "sdpa"


def test_the_fast_attention_refuses_padding() -> None:
    model = build(SHAPE, 0)
    choose_attention(model, cpu=True, bf16=True)
    mask = torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match="packed sequences only"):
        model(input_ids=torch.ones(1, 4, dtype=torch.long), attention_mask=mask)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_losses_are_cross_entropies_in_fp32(dtype: torch.dtype) -> None:
    chance = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 700, 500, generator=chance).to(dtype).requires_grad_()
    targets = torch.randint(500, (3, 700), generator=chance)
    got = losses(logits, targets)
    assert got.shape == (3, 700)
    assert got.dtype is torch.float32
    got.mean().backward()
    gradient = logits.grad
    exact = logits.detach().double().requires_grad_()
    expected = torch.nn.functional.cross_entropy(
        exact.flatten(0, 1), targets.flatten(), reduction="none"
    )
    torch.testing.assert_close(got.flatten(), expected.float())
    expected.mean().backward()
    torch.testing.assert_close(gradient, exact.grad.to(dtype))
