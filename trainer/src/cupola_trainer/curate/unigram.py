"""Training of a unigram language model (Kudo 2018, arXiv 1804.10959) over words of bytes.

By the library sentencepiece, in one thread: there the same words give the same model each time. The
trainer of `tokenizers` gives another order of entries and other last digits in each process, even in
one thread.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator

import sentencepiece
from tokenizers import models, pre_tokenizers

from cupola_trainer.curate.stretches import STRETCH

_LONGEST = 32
"""Bytes of an entry, at most."""
_UNKNOWN = 1
"""Entries that sentencepiece adds for what is unknown; here nothing is."""
_RARER = 10.0
"""Log probability by which a byte that was not seen is rarer than the rarest entry."""


def train(
    texts: Iterator[list[str]],
    vocab_size: int,
    words: pre_tokenizers.PreTokenizer,
    special: tuple[str, ...],
) -> models.Unigram:
    """The model of `vocab_size` entries at most: `special`, then all bytes and what is frequent.

    `words`: cuts a text into words of letters that stand for bytes; `special` are in none of them.
    """
    counts = _count(texts, words)
    seen = set[str]().union(*counts)
    unseen = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - seen)
    room = vocab_size - len(special) - len(unseen)
    entries = _entries(counts, room) if counts else []
    rare = min((score for _, score in entries), default=0.0) - _RARER
    least = [(entry, rare) for entry in (*special, *unseen)]
    return models.Unigram([*least[: len(special)], *entries, *least[len(special) :]], None, False)


def _count(texts: Iterator[list[str]], words: pre_tokenizers.PreTokenizer) -> Counter[str]:
    stretches: Counter[str] = Counter()
    for some in texts:
        for text in some:
            stretches.update(STRETCH.findall(text))
    counts: Counter[str] = Counter()
    for stretch, times in stretches.items():
        for word, _ in words.pre_tokenize_str(stretch):
            counts[word] += times
    return counts


def _entries(counts: Counter[str], room: int) -> list[tuple[str, float]]:
    """Entries and their log probabilities, the likeliest first."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(f"{word}\t{counts[word]}" for word in sorted(counts)),
        input_format="tsv",
        model_writer=model,
        model_type="unigram",
        vocab_size=room + _UNKNOWN,
        hard_vocab_limit=False,
        num_threads=1,
        character_coverage=1.0,
        max_sentencepiece_length=_LONGEST,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_by_whitespace=False,
        split_by_unicode_script=False,
        split_by_number=False,
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
    )
    made = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [
        (made.id_to_piece(number), made.get_score(number))
        for number in range(_UNKNOWN, made.get_piece_size())
    ]
