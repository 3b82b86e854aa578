"""Memory of one rank against torch's MemTracker, which follows a real training step on the CPU.

The step is the trainer's: chunked loss, fused AdamW, FP32 master weights and moments in BF16, whose
gradients become FP32 when the optimizer steps (DeepSpeed's FP16_UnfusedOptimizer), logits held.
Where there is dropout, attention is eager: torch's fused attention on a CPU has none, and its masks
take a number each there, not the byte that they take on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
import transformers as hf
from deepspeed.runtime.chunked_cross_entropy import chunked_cross_entropy
from torch.distributed._tools.mem_tracker import MemTracker

from cupola_operator.plan.anatomy import families
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.anatomy.memory import memory
from cupola_operator.plan.anatomy.model import Model

TOKENS: Any = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
Built = tuple[Any, Any, Model]


def llama(sizes: str, *, tied: bool = False) -> Built:
    layers, hidden, heads, kv_heads, ffn, vocabulary, context = map(int, sizes.split("/"))
    config = hf.LlamaConfig(
        **TOKENS,
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        intermediate_size=ffn,
        vocab_size=vocabulary,
        max_position_embeddings=context,
        tie_word_embeddings=tied,
    )
    planned = families.of(
        "llama",
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        ffn=ffn,
        vocabulary=vocabulary,
        context=context,
        tied=tied,
    )
    return hf.LlamaForCausalLM, config, planned


def qwen3() -> Built:
    config = hf.Qwen3Config(
        **TOKENS,
        num_hidden_layers=2,
        hidden_size=128,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        intermediate_size=384,
        vocab_size=1000,
        tie_word_embeddings=True,
    )
    planned = families.of(
        "qwen3", **SMALL, kv_heads=2, head_size=64, ffn=384, context=128, tied=True
    )
    return hf.Qwen3ForCausalLM, config, planned


SMALL: Any = {"layers": 2, "hidden": 128, "heads": 4, "vocabulary": 1000}


def gpt2(dropout: float) -> Built:
    config = hf.GPT2Config(
        **TOKENS,
        n_layer=2,
        n_embd=128,
        n_head=4,
        n_positions=128,
        vocab_size=1000,
        activation_function="gelu",
        attn_pdrop=dropout,
        embd_pdrop=dropout,
        resid_pdrop=dropout,
    )
    planned = families.of("gpt2", **SMALL, context=128, dropout=dropout > 0)
    return hf.GPT2LMHeadModel, config, planned


def pythia() -> Built:
    config = hf.GPTNeoXConfig(
        **TOKENS,
        num_hidden_layers=2,
        hidden_size=128,
        num_attention_heads=4,
        intermediate_size=512,
        vocab_size=1000,
        max_position_embeddings=128,
        tie_word_embeddings=False,
    )
    return hf.GPTNeoXForCausalLM, config, families.of("gpt-neox", **SMALL, context=128)


def bert(dropout: float) -> Built:
    config = hf.BertConfig(
        pad_token_id=0,
        num_hidden_layers=2,
        hidden_size=128,
        num_attention_heads=4,
        intermediate_size=512,
        vocab_size=1000,
        max_position_embeddings=128,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    planned = families.of("bert", **SMALL, context=128, dropout=dropout > 0)
    return hf.BertForMaskedLM, config, planned


def t5() -> Built:
    config = hf.T5Config(
        num_layers=2,
        d_model=128,
        num_heads=4,
        d_kv=32,
        d_ff=352,
        vocab_size=1000,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
    )
    config.dense_act_fn = "gelu"  # the same in one operation
    planned = families.of("t5-v1.1", **SMALL, encoder_layers=2, ffn=352, context=128, tied=True)
    return hf.T5ForConditionalGeneration, config, planned


def bart() -> Built:
    config = hf.BartConfig(
        **TOKENS,
        encoder_layers=2,
        decoder_layers=2,
        d_model=128,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=512,
        decoder_ffn_dim=512,
        vocab_size=1000,
        max_position_embeddings=128,
        dropout=0.0,
    )
    planned = families.of("bart", **SMALL, encoder_layers=2, context=128, dropout=False)
    return hf.BartForConditionalGeneration, config, planned


SHALLOW = "2/128/4/4/352/1000/128"
SETTINGS: dict[str, tuple[Built, str, str, Layout]] = {
    # name: model, precision, attention, layout (sequences a pass, passes a step, checkpointing)
    "Llama FP32": (llama(SHALLOW), "FP32", "Flash", Layout(micro_batch=4)),
    "Llama BF16": (llama(SHALLOW), "BF16", "Flash", Layout(micro_batch=4)),
    "two passes, FP32": (
        llama(SHALLOW),
        "FP32",
        "Flash",
        Layout(micro_batch=4, accumulation=2),
    ),
    "two passes, BF16": (
        llama(SHALLOW),
        "BF16",
        "Flash",
        Layout(micro_batch=4, accumulation=2),
    ),
    "tied, shared keys": (
        llama("3/128/4/2/352/1000/128", tied=True),
        "FP32",
        "Flash",
        Layout(micro_batch=4),
    ),
    "tied, shared keys, BF16": (
        llama("3/128/4/1/352/1000/128", tied=True),
        "BF16",
        "Flash",
        Layout(micro_batch=8),
    ),
    "recomputed, FP32": (
        llama("4/128/4/4/352/1000/128"),
        "FP32",
        "Flash",
        Layout(micro_batch=4, accumulation=2, checkpointing="Full"),
    ),
    "recomputed, BF16": (
        llama("4/128/4/4/352/1000/128"),
        "BF16",
        "Flash",
        Layout(micro_batch=16, checkpointing="Full"),
    ),
    "recomputed, tied, one pass": (
        llama("2/128/4/2/512/1000/256", tied=True),
        "FP32",
        "Flash",
        Layout(micro_batch=8, checkpointing="Full"),
    ),
    "one short sequence, FP32": (llama("2/128/4/4/352/1000/32"), "FP32", "Flash", Layout()),
    "one short sequence, BF16": (llama("2/128/4/4/352/1000/32"), "BF16", "Flash", Layout()),
    "long context": (llama("2/128/4/4/352/1000/1024"), "BF16", "Flash", Layout()),
    "large vocabulary": (
        llama("2/64/2/2/176/16000/128"),
        "BF16",
        "Flash",
        Layout(micro_batch=4),
    ),
    "large vocabulary, tied, FP32": (
        llama("2/64/2/2/176/16000/128", tied=True),
        "FP32",
        "Flash",
        Layout(micro_batch=2, accumulation=2),
    ),
    "wide": (llama("1/512/8/8/1408/1000/64"), "BF16", "Flash", Layout(micro_batch=2)),
    "eager, FP32": (llama("2/128/4/4/352/1000/256"), "FP32", "Eager", Layout(micro_batch=2)),
    "eager, BF16": (llama("2/128/4/2/352/1000/256"), "BF16", "Eager", Layout(micro_batch=2)),
    "eager, recomputed": (
        llama("2/128/4/4/352/1000/256"),
        "BF16",
        "Eager",
        Layout(micro_batch=4, checkpointing="Full"),
    ),
    "Qwen3": (qwen3(), "BF16", "Flash", Layout(micro_batch=4)),
    "GPT-2": (gpt2(0.0), "BF16", "Flash", Layout(micro_batch=4)),
    "GPT-2 with dropout": (gpt2(0.1), "BF16", "Eager", Layout(micro_batch=4)),
    "GPT-2 with dropout, FP32": (gpt2(0.1), "FP32", "Eager", Layout(micro_batch=4)),
    "Pythia": (pythia(), "BF16", "Flash", Layout(micro_batch=4)),
    "BERT": (bert(0.0), "FP32", "Flash", Layout(micro_batch=4)),
    "BERT with dropout": (bert(0.1), "BF16", "Eager", Layout(micro_batch=4)),
    "T5": (t5(), "FP32", "Eager", Layout(micro_batch=4)),
    "T5 recomputed": (
        t5(),
        "BF16",
        "Eager",
        Layout(micro_batch=4, checkpointing="Full"),
    ),
    "BART": (bart(), "BF16", "Flash", Layout(micro_batch=4)),
    "BART recomputed": (
        bart(),
        "FP32",
        "Flash",
        Layout(micro_batch=4, checkpointing="Full"),
    ),
}


@dataclass
class Tracked:
    """Bytes at the peak."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations


def tracked(built: Built, precision: str, attention: str, layout: Layout) -> Tracked:
    kind, config, planned = built
    config._attn_implementation = "sdpa" if attention == "Flash" else "eager"
    config.use_cache = False
    model = kind(config).train()
    if layout.checkpointing == "Full":
        model.activation_checkpointing_enable({"use_reentrant": False})
    low = precision == "BF16"
    if low:
        model = model.to(torch.bfloat16)
    weights = list(model.parameters())
    masters = [w.detach().float().requires_grad_() for w in weights] if low else weights
    optimizer = torch.optim.AdamW(masters, lr=1e-4, fused=True)
    for master in masters:  # as add_moments does
        optimizer.state[master] = {
            "step": torch.zeros(()),
            "exp_avg": torch.zeros_like(master.detach()),
            "exp_avg_sq": torch.zeros_like(master.detach()),
        }
    tokens = torch.randint(5, config.vocab_size, (layout.micro_batch, planned.context))
    inputs = {"input_ids": tokens}
    if planned.architecture == "EncoderDecoder":
        inputs["decoder_input_ids"] = tokens
    tracker = MemTracker()
    tracker.track_external(model, optimizer, *(masters if low else []))
    with tracker:
        for number in range(layout.accumulation):
            if number:
                tracker.reset_mod_stats()
            logits = model(**inputs).logits
            rows = max(1, (1 << 18) // logits.shape[-1])
            loss = chunked_cross_entropy(
                logits.flatten(0, 1), tokens.flatten(), reduction="none", block_rows=rows
            )
            loss.mean().backward()
        if low:
            for master, weight in zip(masters, weights, strict=True):
                master.grad = weight.grad.to(torch.float32)
        optimizer.step()
    peak = {
        str(getattr(kind, "value", kind)): size
        for kind, size in tracker.get_tracker_snapshot("peak")[torch.device("cpu")].items()
    }
    return Tracked(
        weights=peak["Parameter"],
        gradients=peak["Gradient"],
        optimizer=peak["Optstate"] + peak["Other"],  # master weights are "other"
        activations=peak["Activation"] + peak["Temp"] + peak["Buffer"],
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_a_training_takes_what_torch_tracks(name: str) -> None:
    built, precision, attention, layout = SETTINGS[name]
    found: Any = memory(built[2], layout, precision, attention=attention)  # type: ignore[arg-type]
    real = tracked(built, precision, attention, layout)
    assert found.communication == 0
    assert found.weights == real.weights
    assert found.optimizer == pytest.approx(real.optimizer, rel=0.01)
    assert found.allocated == pytest.approx(real.total, rel=0.1)
    if layout.accumulation > 1:  # else gradients come while activations go, at no one moment
        assert found.gradients == real.gradients
        assert found.activations == pytest.approx(real.activations, rel=0.1)
