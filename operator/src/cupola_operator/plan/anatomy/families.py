"""What the published families of models have in common, each read from its code in Transformers.

The counts of all are checked against the instantiated models (tests/operator/plan).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cupola_operator.plan.anatomy.model import Model

_BIASED: Mapping[str, Any] = {"qkv_bias": True, "out_bias": True, "ffn_bias": True}
_PLAIN: Mapping[str, Any] = {"gated": False, "norm": "LayerNorm", **_BIASED}
"""LayerNorm, two feed-forward matrices, biases everywhere, as in the first transformers."""

_BERT: Mapping[str, Any] = {
    **_PLAIN,
    "architecture": "Encoder",
    "positions": "Learned",
    "token_types": 2,
    "embedding_norm": True,
    "final_norm": False,
    "head": "MaskedLanguageModel",
    "head_bias": True,
    "tied": True,
    "softmax_fp32": False,
    "dropout": True,
}
_T5: Mapping[str, Any] = {
    "architecture": "EncoderDecoder",
    "positions": "Relative",
    "position_rows": 32,
    "softmax_fp32": False,
}

FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "llama": {},  # Llama 1 to 3, Mistral, Yi, DeepSeek LLM, Phi-3, InternLM
    "qwen2": {"qkv_bias": True},  # and 2.5
    "qwen3": {"qk_norm": "Head"},
    "olmo": {"norm": "Fixed"},
    "olmo2": {"qk_norm": "Width"},
    "gemma": {"tied": True},
    "gemma2": {"tied": True, "norms": 4},
    "gemma3": {"tied": True, "norms": 4, "qk_norm": "Head"},
    "gpt2": {  # and GPT-3
        **_PLAIN,
        "positions": "Learned",
        "tied": True,
        "softmax_fp32": False,
        "dropout": True,
    },
    "gpt-neox": _PLAIN,  # and Pythia
    "opt": {**_PLAIN, "relu": True, "positions": "Learned", "tied": True, "dropout": True},
    "bloom": {**_PLAIN, "positions": "Alibi", "tied": True, "embedding_norm": True},
    "mpt": {"gated": False, "norm": "LayerNormNoBias", "positions": "Alibi", "tied": True},
    "falcon-7b": {"gated": False, "norm": "LayerNorm", "norms": 1, "tied": True},
    "falcon-40b": {"gated": False, "norm": "LayerNorm", "tied": True},  # and 180B
    "phi": {**_PLAIN, "norms": 1, "head_bias": True},
    "starcoder2": _PLAIN,
    "bert": _BERT,
    "roberta": {**_BERT, "token_types": 1},
    "modernbert": {
        "architecture": "Encoder",
        "norm": "LayerNormNoBias",
        "missing_norms": 1,
        "embedding_norm": True,
        "head": "MaskedLanguageModel",
        "head_bias": True,
        "tied": True,
    },
    "t5": {**_T5, "gated": False, "relu": True, "tied": True, "dropout": True},
    "t5-v1.1": _T5,  # and mT5, Flan-T5, UL2
    "bart": {
        **_PLAIN,
        "architecture": "EncoderDecoder",
        "positions": "Learned",
        "embedding_norm": True,
        "final_norm": False,
        "tied": True,
        "softmax_fp32": False,
        "dropout": True,
    },
}
"""What each family does otherwise than Llama."""

_EXTRA_ROWS = {"opt": 2, "bart": 2, "roberta": 2}
"""Rows of the table of positions beyond the context."""


def of(
    family: str,
    *,
    layers: int,
    hidden: int,
    heads: int,
    vocabulary: int,
    context: int,
    ffn: int | None = None,
    kv_heads: int | None = None,
    head_size: int | None = None,
    **others: Any,
) -> Model:
    """A model of a family; `others` are fields in which this one differs from its family.

    Absent: a feed-forward of 4 x hidden, as many key and value heads as heads, heads of
    hidden / heads. Raises KeyError for a family that FAMILIES lacks.
    """
    model = Model(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads or heads,
        head_size=head_size or hidden // heads,
        ffn=ffn or 4 * hidden,
        vocabulary=vocabulary,
        context=context,
        **{**FAMILIES[family], **others},
    )
    if model.positions == "Learned" and "position_rows" not in others:
        return replace(model, position_rows=context + _EXTRA_ROWS.get(family, 0))
    return model
