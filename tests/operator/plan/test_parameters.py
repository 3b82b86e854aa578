"""Counts against Transformers' own models, built from their configurations without weights."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
import transformers as hf

from cupola_operator.plan import shape
from cupola_operator.plan.anatomy import families, model, parameters
from cupola_trainer.model import config_of

# name: the model of Transformers, its configuration, and the same as the planner writes it.
# Encoders are with their masked-language-model head unless the name says otherwise.
Row = tuple[Any, Any, model.Model]


def _llama(name: str, *sizes: int, tied: bool = False) -> dict[str, Row]:
    layers, hidden, heads, kv_heads, ffn, vocabulary = sizes
    config = hf.LlamaConfig(
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        intermediate_size=ffn,
        vocab_size=vocabulary,
        tie_word_embeddings=tied,
    )
    return {
        name: (
            hf.LlamaForCausalLM,
            config,
            families.of(
                "llama",
                layers=layers,
                hidden=hidden,
                heads=heads,
                kv_heads=kv_heads,
                ffn=ffn,
                vocabulary=vocabulary,
                context=2048,
                tied=tied,
            ),
        )
    }


def _like(name: str, family: str, kind: Any, config: Any, **changes: Any) -> dict[str, Row]:
    """A row whose sizes are read from a configuration that names them as Llama's does."""
    sizes = {
        "layers": config.num_hidden_layers,
        "hidden": config.hidden_size,
        "heads": config.num_attention_heads,
        "kv_heads": getattr(config, "num_key_value_heads", None),
        "head_size": getattr(config, "head_dim", None),
        "ffn": getattr(config, "intermediate_size", None),
        "vocabulary": config.vocab_size,
        "context": 2048,
        "tied": config.tie_word_embeddings,
        **changes,
    }
    return {name: (kind, config, families.of(family, **sizes))}


def _decoder(name: str, family: str, kind: Any, sizes: str, **more: Any) -> dict[str, Row]:
    """The same, of layers/hidden/heads/kv_heads/ffn/vocabulary."""
    layers, hidden, heads, kv_heads, ffn, vocabulary = (int(size) for size in sizes.split("/"))
    config = kind.config_class(
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        intermediate_size=ffn,
        vocab_size=vocabulary,
        **more,
    )
    return _like(name, family, kind, config)


def _gpt2(name: str, layers: int, hidden: int, heads: int) -> dict[str, Row]:
    config = hf.GPT2Config(n_layer=layers, n_embd=hidden, n_head=heads)
    return _like(name, "gpt2", hf.GPT2LMHeadModel, config, ffn=4 * hidden, context=1024)


def _neox(name: str, sizes: str) -> dict[str, Row]:
    layers, hidden, heads, vocabulary = (int(size) for size in sizes.split("/"))
    config = hf.GPTNeoXConfig(
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        vocab_size=vocabulary,
        tie_word_embeddings=False,
    )
    return _like(name, "gpt-neox", hf.GPTNeoXForCausalLM, config)


def _opt(name: str, layers: int, hidden: int, heads: int, **more: Any) -> dict[str, Row]:
    config = hf.OPTConfig(
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        ffn_dim=4 * hidden,
        **{"word_embed_proj_dim": hidden, **more},
    )
    others = {"final_norm": False, "embedding_width": 512} if more else {}
    return _like(name, "opt", hf.OPTForCausalLM, config, ffn=4 * hidden, **others)


def _t5(name: str, family: str, kind: Any, sizes: str, *, tied: bool) -> dict[str, Row]:
    layers, hidden, heads, head, ffn, vocabulary = (int(size) for size in sizes.split("/"))
    config = kind.config_class(
        num_layers=layers,
        d_model=hidden,
        num_heads=heads,
        d_kv=head,
        d_ff=ffn,
        vocab_size=vocabulary,
        feed_forward_proj="relu" if family == "t5" else "gated-gelu",
    )
    config.tie_word_embeddings = tied  # that of the class is always True since Transformers 5
    planned = families.of(
        family,
        layers=layers,
        encoder_layers=layers,
        hidden=hidden,
        heads=heads,
        head_size=head,
        ffn=ffn,
        vocabulary=vocabulary,
        context=512,
        tied=tied,
    )
    return {name: (kind, config, planned)}


def _bart(name: str, layers: int, hidden: int, heads: int) -> dict[str, Row]:
    config = hf.BartConfig(
        encoder_layers=layers,
        decoder_layers=layers,
        d_model=hidden,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * hidden,
        decoder_ffn_dim=4 * hidden,
        tie_word_embeddings=True,
    )
    return {
        name: (
            hf.BartForConditionalGeneration,
            config,
            families.of(
                "bart",
                layers=layers,
                encoder_layers=layers,
                hidden=hidden,
                heads=heads,
                vocabulary=config.vocab_size,
                context=1024,
            ),
        )
    }


_BERT_LARGE = {"num_hidden_layers": 24, "hidden_size": 1024, "num_attention_heads": 16}
_FALCON_40B = hf.FalconConfig(
    num_hidden_layers=60,
    hidden_size=8192,
    num_attention_heads=128,
    num_kv_heads=8,
    new_decoder_architecture=True,
    vocab_size=65024,
)
ROWS: dict[str, Row] = {
    **_llama("Llama 1 65B", 80, 8192, 64, 64, 22016, 32000),
    **_llama("Llama 2 7B", 32, 4096, 32, 32, 11008, 32000),
    **_llama("Llama 2 34B", 48, 8192, 64, 8, 22016, 32000),
    **_llama("Llama 2 70B", 80, 8192, 64, 8, 28672, 32000),
    **_llama("Llama 3 8B", 32, 4096, 32, 8, 14336, 128256),
    **_llama("Llama 3.1 405B", 126, 16384, 128, 8, 53248, 128256),
    **_llama("Llama 3.2 1B", 16, 2048, 32, 8, 8192, 128256, tied=True),
    **_llama("SmolLM 135M", 30, 576, 9, 3, 1536, 49152, tied=True),
    **_decoder("Mistral 7B", "llama", hf.MistralForCausalLM, "32/4096/32/8/14336/32000"),
    **_decoder("Phi-3 mini", "llama", hf.Phi3ForCausalLM, "32/3072/32/32/8192/32064"),
    **_decoder(
        "Qwen2 0.5B",
        "qwen2",
        hf.Qwen2ForCausalLM,
        "24/896/14/2/4864/151936",
        tie_word_embeddings=True,
    ),
    **_decoder("Qwen2.5 72B", "qwen2", hf.Qwen2ForCausalLM, "80/8192/64/8/29568/152064"),
    **_decoder(
        "Qwen3 0.6B",
        "qwen3",
        hf.Qwen3ForCausalLM,
        "28/1024/16/8/3072/151936",
        head_dim=128,
        tie_word_embeddings=True,
    ),
    **_decoder(
        "Qwen3 32B", "qwen3", hf.Qwen3ForCausalLM, "64/5120/64/8/25600/151936", head_dim=128
    ),
    **_decoder("OLMo 7B", "olmo", hf.OlmoForCausalLM, "32/4096/32/32/11008/50304"),
    **_decoder("OLMo 2 13B", "olmo2", hf.Olmo2ForCausalLM, "40/5120/40/40/13824/100352"),
    **_decoder("Gemma 2B", "gemma", hf.GemmaForCausalLM, "18/2048/8/1/16384/256000", head_dim=256),
    **_decoder(
        "Gemma 7B", "gemma", hf.GemmaForCausalLM, "28/3072/16/16/24576/256000", head_dim=256
    ),
    **_decoder(
        "Gemma 2 27B", "gemma2", hf.Gemma2ForCausalLM, "46/4608/32/16/36864/256000", head_dim=128
    ),
    **_like(
        "Gemma 3 1B",
        "gemma3",
        hf.Gemma3ForCausalLM,
        hf.Gemma3TextConfig(
            num_hidden_layers=26,
            hidden_size=1152,
            num_attention_heads=4,
            num_key_value_heads=1,
            intermediate_size=6912,
            vocab_size=262144,
            head_dim=256,
        ),
    ),
    **_gpt2("GPT-2", 12, 768, 12),
    **_gpt2("GPT-2 XL", 48, 1600, 25),
    **_neox("Pythia 70M", "6/512/8/50304"),
    **_neox("Pythia 12B", "36/5120/40/50688"),
    **_neox("GPT-NeoX 20B", "44/6144/64/50432"),
    **_opt("OPT 125M", 12, 768, 12),
    **_opt("OPT 350M", 24, 1024, 16, word_embed_proj_dim=512, do_layer_norm_before=False),
    **_opt("OPT 175B", 96, 12288, 96),
    **_like(
        "BLOOM 176B",
        "bloom",
        hf.BloomForCausalLM,
        hf.BloomConfig(n_layer=70, hidden_size=14336, n_head=112, vocab_size=250880),
    ),
    **_like(
        "MPT 7B",
        "mpt",
        hf.MptForCausalLM,
        hf.MptConfig(n_layers=32, d_model=4096, n_heads=32, vocab_size=50432),
    ),
    **_like(
        "Falcon 7B",
        "falcon-7b",
        hf.FalconForCausalLM,
        hf.FalconConfig(),
        kv_heads=1,
        ffn=4 * 4544,
        head_size=64,
    ),
    **_like(
        "Falcon 40B",
        "falcon-40b",
        hf.FalconForCausalLM,
        _FALCON_40B,
        kv_heads=8,
        ffn=4 * 8192,
        head_size=64,
    ),
    **_decoder("Phi-2", "phi", hf.PhiForCausalLM, "32/2560/32/32/10240/51200"),
    **_decoder(
        "StarCoder2 15B",
        "starcoder2",
        hf.Starcoder2ForCausalLM,
        "40/6144/48/4/24576/49152",
        tie_word_embeddings=False,
    ),
    **_decoder("StarCoder2 3B", "starcoder2", hf.Starcoder2ForCausalLM, "30/3072/24/2/12288/49152"),
    **_like("BERT base", "bert", hf.BertForMaskedLM, hf.BertConfig(), context=512),
    **_like(
        "BERT large",
        "bert",
        hf.BertForMaskedLM,
        hf.BertConfig(**_BERT_LARGE, intermediate_size=4096),
        context=512,
    ),
    **_like(
        "RoBERTa base",
        "roberta",
        hf.RobertaForMaskedLM,
        hf.RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1),
        context=512,
    ),
    **_like("ModernBERT base", "modernbert", hf.ModernBertForMaskedLM, hf.ModernBertConfig()),
    **_like(
        "ModernBERT base, untied",
        "modernbert",
        hf.ModernBertForMaskedLM,
        hf.ModernBertConfig(tie_word_embeddings=False),
    ),
    **_like(
        "ModernBERT base, no head",
        "modernbert",
        hf.ModernBertModel,
        hf.ModernBertConfig(),
        head="None",
    ),
    **_t5("T5 base", "t5", hf.T5ForConditionalGeneration, "12/768/12/64/3072/32128", tied=True),
    **_t5("T5 11B", "t5", hf.T5ForConditionalGeneration, "24/1024/128/128/65536/32128", tied=True),
    **_t5(
        "Flan-T5 XL",
        "t5-v1.1",
        hf.T5ForConditionalGeneration,
        "24/2048/32/64/5120/32128",
        tied=False,
    ),
    **_t5(
        "mT5 small",
        "t5-v1.1",
        hf.MT5ForConditionalGeneration,
        "8/512/6/64/1024/250112",
        tied=False,
    ),
    **_t5(
        "mT5 small, as Transformers 5 builds it",
        "t5-v1.1",
        hf.MT5ForConditionalGeneration,
        "8/512/6/64/1024/250112",
        tied=True,
    ),
    **_bart("BART base", 6, 768, 12),
    **_bart("BART large", 12, 1024, 16),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_count_is_that_of_the_built_model(name: str) -> None:
    kind, config, planned = ROWS[name]
    with torch.device("meta"):
        built = kind(config)
    if planned.architecture == "EncoderDecoder" and not planned.tied:
        # Untied, Transformers gives encoder and decoder an embedding each; T5 1.1 has one for both.
        built.encoder.embed_tokens = built.decoder.embed_tokens = built.shared
    assert parameters.count(planned).total == sum(p.numel() for p in built.parameters())


def test_bert_without_its_head_or_its_pooler_is_counted() -> None:
    with torch.device("meta"):
        built = hf.BertModel(hf.BertConfig(), add_pooling_layer=False)
    planned = replace(ROWS["BERT base"][2], head="None")
    assert parameters.count(planned).total == sum(p.numel() for p in built.parameters())


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("Llama 3.1 405B", 405_853_388_800),  # its model card
        ("Flan-T5 XL", 2_849_757_184),  # its model card: 2.85B
        ("BLOOM 176B", 176_247_271_424),  # its model card
        (
            "Falcon 7B",
            7_217_189_760 - 65024 * 4544,
        ),  # its weights' index counts the tied head twice
    ],
)
def test_the_count_is_the_published_one(name: str, published: int) -> None:
    assert parameters.count(ROWS[name][2]).total == published


@pytest.mark.parametrize("name", ROWS)
def test_the_parts_add_up_and_none_is_negative(name: str) -> None:
    found = parameters.count(ROWS[name][2])
    parts = [getattr(found, field.name) for field in fields(found)]
    assert min(parts) >= 0
    assert found.total == sum(parts)


def test_what_the_trainer_builds_is_counted() -> None:
    sizes = shape.of_size(125_000_000, vocabulary=32_000, context=1024)
    with torch.device("meta"):
        built = hf.LlamaForCausalLM(config_of(sizes))
    planned = model.of_shape(sizes)
    assert parameters.count(planned).total == sum(p.numel() for p in built.parameters())
    assert shape.parameters(sizes) == parameters.count(planned).total
