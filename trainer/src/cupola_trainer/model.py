"""The model that is trained: a Llama-style decoder of Transformers, its start and its loss."""

from __future__ import annotations

from functools import lru_cache

import torch
from deepspeed.runtime.chunked_cross_entropy import chunked_cross_entropy
from transformers import AttentionInterface
from transformers.models.llama import LlamaConfig, LlamaForCausalLM

from cupola_api.run import Shape

INITIAL_STD = 0.02

_SMALL_CONTEXT = 512
_BLOCK = 1 << 18


def config_of(shape: Shape) -> LlamaConfig:
    """The Transformers configuration of a shape."""
    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.ffn,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=shape.tie_embeddings,
        initializer_range=INITIAL_STD,
        bos_token_id=None,
        eos_token_id=None,
    )


def build(shape: Shape, seed: int) -> LlamaForCausalLM:
    """A new model in fp32 on the CPU; the same on every rank.

    Matrices are normal with deviation 0.02; those that write into the residual stream are scaled
    down by the square root of their number, so that its variance does not grow with depth (Radford
    et al. 2019, GPT-2).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config_of(shape))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.mul_((2 * shape.layers) ** -0.5)
    return model


def choose_attention(model: LlamaForCausalLM, *, cpu: bool, bf16: bool) -> None:
    """Let a model use the fastest attention for its context on the device.

    On a CPU, in bf16 and for short sequences, two batched products beat PyTorch's flash kernel 2.5
    to 3 times (measured on AVX512-BF16); everywhere else PyTorch's choice is best.
    """
    short = model.config.max_position_embeddings <= _SMALL_CONTEXT
    if cpu and bf16 and short:
        AttentionInterface.register("causal_products", _causal_products)
        model.set_attn_implementation("causal_products")
    else:
        model.set_attn_implementation("sdpa")


def losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy in fp32 of each target, nats: [batch, length] of logits [batch, length, words].

    On a CPU in blocks that fit its cache: five times as fast as over all logits at once.
    """
    rows = max(1, _BLOCK // logits.shape[-1]) if logits.device.type == "cpu" else None
    flat: torch.Tensor = chunked_cross_entropy(
        logits.flatten(0, 1), targets.flatten(), reduction="none", block_rows=rows
    )
    return flat.view_as(targets)


@lru_cache(maxsize=4)
def _causal_mask(length: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.full((length, length), float("-inf"), dtype=dtype).triu(1)


def _causal_products(  # noqa: PLR0917  the library's convention
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention over whole sequences without padding, in Transformers' calling convention.

    With a mask, bool, it is the mask that says what is seen.
    """
    masked = attention_mask is not None and attention_mask.dtype is not torch.bool
    if masked or query.shape[2] != key.shape[2]:
        raise ValueError("causal_products is for training on packed sequences only")
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    scores = (query * scaling) @ key.transpose(-1, -2)
    if attention_mask is None:
        scores = scores.add_(_causal_mask(query.shape[2], query.dtype))
    else:
        scores = scores.masked_fill_(~attention_mask, float("-inf"))
    return (scores.softmax(-1) @ value).transpose(1, 2), None
