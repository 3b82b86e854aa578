"""FLOPs against torch's FlopCounterMode, which counts the matrix products of a built model.

Eager attention, as the counter sees nothing in fused kernels; it computes the full square.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import torch
import transformers as hf
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from cupola_operator.plan.anatomy import families, flops, parameters
from cupola_operator.plan.anatomy.model import Model

BATCH, LENGTH, SOURCE = 2, 64, 96
SIZES: Any = {"layers": 2, "hidden": 64, "heads": 4, "vocabulary": 512, "context": SOURCE}
NAMES: Any = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4}
TOKENS: Any = {"vocab_size": 512, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
WORDS: Any = {**NAMES, **TOKENS}


@dataclass
class Counted:
    """What the counter saw: forward; forward and backward; these with full checkpointing."""

    forward: int
    training: int
    recomputed: int


def _t5(projection: str) -> Any:
    return hf.T5Config(
        **TOKENS,
        num_layers=3,
        num_decoder_layers=2,
        d_model=64,
        num_heads=4,
        d_kv=24,
        d_ff=160,
        feed_forward_proj=projection,
        dropout_rate=0.1 if projection == "relu" else 0.0,  # T5 1.1 was trained without
    )


ROWS: dict[str, tuple[Any, Any, Model]] = {
    "Llama": (
        hf.LlamaForCausalLM,
        hf.LlamaConfig(**WORDS, num_key_value_heads=2, intermediate_size=176),
        families.of("llama", **SIZES, kv_heads=2, ffn=176),
    ),
    "Qwen3, wide heads": (
        hf.Qwen3ForCausalLM,
        hf.Qwen3Config(**WORDS, num_key_value_heads=1, intermediate_size=192, head_dim=24),
        families.of("qwen3", **SIZES, kv_heads=1, ffn=192, head_size=24),
    ),
    "GPT-2": (
        hf.GPT2LMHeadModel,
        hf.GPT2Config(**TOKENS, n_layer=2, n_embd=64, n_head=4, n_positions=SOURCE),
        families.of("gpt2", **SIZES),
    ),
    "OPT with narrow embeddings": (
        hf.OPTForCausalLM,
        hf.OPTConfig(**WORDS, ffn_dim=256, word_embed_proj_dim=32, max_position_embeddings=SOURCE),
        families.of("opt", **SIZES, embedding_width=32),
    ),
    "BERT": (
        hf.BertForMaskedLM,
        hf.BertConfig(**WORDS, intermediate_size=256),
        families.of("bert", **SIZES),
    ),
    "ModernBERT": (
        hf.ModernBertForMaskedLM,
        hf.ModernBertConfig(**WORDS, intermediate_size=96, cls_token_id=3, sep_token_id=4),
        families.of("modernbert", **SIZES, ffn=96),
    ),
    "T5": (
        hf.T5ForConditionalGeneration,
        _t5("relu"),
        families.of("t5", **SIZES, encoder_layers=3, ffn=160, head_size=24),
    ),
    "T5 1.1": (
        hf.T5ForConditionalGeneration,
        _t5("gated-gelu"),
        families.of("t5-v1.1", **SIZES, encoder_layers=3, ffn=160, head_size=24),
    ),
    "BART": (
        hf.BartForConditionalGeneration,
        hf.BartConfig(
            **TOKENS,
            encoder_layers=3,
            decoder_layers=2,
            d_model=64,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=256,
            decoder_ffn_dim=256,
            max_position_embeddings=SOURCE,
        ),
        families.of("bart", **SIZES, encoder_layers=3),
    ),
}


@cache
def counted(name: str) -> Counted:
    kind, config, planned = ROWS[name]
    config._attn_implementation = "eager"
    config.use_cache = False
    built = kind(config).train()
    tokens = torch.randint(5, 512, (BATCH, SOURCE))
    inputs = {"input_ids": tokens}
    if planned.architecture == "EncoderDecoder":
        inputs["decoder_input_ids"] = tokens[:, :LENGTH]

    def count(*, backward: bool) -> int:
        with FlopCounterMode(display=False) as counter:
            logits = built(**inputs).logits
            if backward:
                logits.sum().backward()
        return int(counter.get_total_flops())

    forward, training = count(backward=False), count(backward=True)
    built.activation_checkpointing_enable({"use_reentrant": False})
    return Counted(forward, training, count(backward=True))


def lengths(planned: Model) -> dict[str, int]:
    both = planned.architecture == "EncoderDecoder"
    return {"length": LENGTH, "source": SOURCE} if both else {"length": SOURCE}


@pytest.mark.parametrize("name", ROWS)
def test_the_forward_pass_is_what_torch_counts(name: str) -> None:
    planned = ROWS[name][2]
    found = BATCH * flops.forward(planned, **lengths(planned)).total
    assert found == pytest.approx(counted(name).forward, rel=0.01)


@pytest.mark.parametrize("name", ROWS)
def test_forward_and_backward_are_what_torch_counts(name: str) -> None:
    planned = ROWS[name][2]
    found = BATCH * flops.training(planned, **lengths(planned)).total
    assert found == pytest.approx(counted(name).training, rel=0.01)


@pytest.mark.parametrize("name", ROWS)
def test_full_checkpointing_computes_again_what_torch_counts(name: str) -> None:
    planned = ROWS[name][2]
    again = flops.recomputation(planned, "Full", **lengths(planned)).total
    assert BATCH * again == pytest.approx(
        counted(name).recomputed - counted(name).training, rel=0.01
    )


def test_selective_checkpointing_computes_the_core_of_attention_again() -> None:
    planned = ROWS["Llama"][2]
    again = flops.recomputation(planned, "Selective")
    assert again.total == flops.forward(planned).attention_scores
    assert flops.recomputation(planned, "None") == flops.NONE


@pytest.mark.parametrize("checkpointing", ["None", "Selective", "Full"])
def test_a_gpt_takes_the_flops_of_megatrons_formula(checkpointing: Any) -> None:
    """Korthikanti et al., arXiv 2205.05198, appendix A: equations 7 (model) and 8 (hardware)."""
    layers, hidden, length, vocabulary = 96, 12288, 2048, 51200
    gpt3 = families.of(
        "gpt2", layers=layers, hidden=hidden, heads=96, vocabulary=vocabulary, context=length
    )
    common = 72 * layers * length * hidden**2
    head = vocabulary / (12 * layers * hidden)
    square = length / (6 * hidden)
    model_flops = common * (1 + square + head)
    assert flops.training(gpt3).total == pytest.approx(model_flops, rel=1e-9)
    hardware = {
        "None": model_flops,
        "Selective": common * (1 + 4 / 3 * square + head),
        "Full": common * (4 / 3 * (1 + square) + head),
    }[checkpointing]
    total = flops.training(gpt3) + flops.recomputation(gpt3, checkpointing)
    assert total.total == pytest.approx(hardware, rel=1e-9)


def test_a_causal_kernel_skips_the_keys_of_the_future() -> None:
    square = flops.forward(ROWS["Llama"][2]).attention_scores
    skipped = flops.forward(ROWS["Llama"][2], causal=True).attention_scores
    assert skipped == square * (SOURCE + 1) // (2 * SOURCE)


@pytest.mark.parametrize("name", ["BERT", "ModernBERT"])
def test_an_encoder_attends_to_all_whatever_the_convention(name: str) -> None:
    assert flops.forward(ROWS[name][2], causal=True) == flops.forward(ROWS[name][2])


def test_only_the_self_attention_of_a_decoder_is_causal() -> None:
    planned = ROWS["BART"][2]
    square = flops.forward(planned).attention_scores
    skipped = flops.forward(planned, causal=True).attention_scores
    one = flops.forward(replace(planned, layers=1)).attention_scores
    of_self_attention = (square - one) // 2 * planned.layers
    assert square - skipped == of_self_attention * (SOURCE - 1) // (2 * SOURCE)


@given(
    layers=st.integers(1, 128),
    heads=st.integers(1, 128),
    context=st.integers(1, 1 << 20),
    ffn=st.integers(8, 1 << 16),
)
def test_six_n_d_is_what_the_matrices_of_the_blocks_take(
    layers: int, heads: int, context: int, ffn: int
) -> None:
    planned = families.of(
        "llama",
        layers=layers,
        hidden=heads * 64,
        heads=heads,
        ffn=ffn,
        vocabulary=1000,
        context=context,
    )
    exact = flops.training(planned)
    norms = 6 * context * parameters.count(planned).norms
    assert (
        flops.six_n_d(planned, context, embeddings=False) - norms
        == exact.blocks - exact.attention_scores
    )
