"""datatrove's filters on a folder of documents: which documents each rule alone drops, as JSON.

    python peer.py FOLDER [--words white-space | --n-grams]

The words are those that datatrove finds (spaCy's rules for English), or runs of anything but white
space, as Cupola has them: what changes between the two is due to words. With --n-grams, only what
the rules about n-grams of words drop, as one after the other what they count becomes what Cupola
counts.
"""

from __future__ import annotations

import argparse
import json
import re
import string
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import datatrove.pipeline.filters.c4_filters as c4
import datatrove.pipeline.filters.fineweb_quality_filter as fineweb
import datatrove.pipeline.filters.gopher_quality_filter as gopher
import datatrove.pipeline.filters.gopher_repetition_filter as repetition
from datatrove.data import Document

_QUALITY = {
    "min-words": {"min_doc_words": 50},
    "short-words": {"min_avg_word_length": 3},
    "long-words": {"max_avg_word_length": 10},
    "symbols": {"max_symbol_word_ratio": 0.1},
    "bullets": {"max_bullet_lines_ratio": 0.9},
    "ellipses": {"max_ellipsis_lines_ratio": 0.3},
    "alphabetic-words": {"max_non_alpha_words_ratio": 0.8},
    "stop-words": {"min_stop_words": 2},
}
_REPEATED = {
    "duplicate-lines": {"dup_line_frac": 0.3},
    "duplicate-line-characters": {"dup_line_char_frac": 0.2},
    "duplicate-paragraphs": {"dup_para_frac": 0.3},
    "duplicate-paragraph-characters": {"dup_para_char_frac": 0.2},
    **{f"top-{n}-gram": {"top_n_grams": ((n, s),)} for n, s in ((2, 0.2), (3, 0.18), (4, 0.16))},
    **{f"repeated-{n}-grams": {"dup_n_grams": ((n, (20 - n) / 100),)} for n in range(5, 11)},
}
_PAGES = {
    "lorem-ipsum": {"filter_lorem_ipsum": True},
    "curly-bracket": {"filter_curly_bracket": True},
    "few-sentences": {"min_num_sentences": 5},
}
_FINEWEB = {
    "unpunctuated-lines": {"line_punct_thr": 0.12},
    "short-lines": {"short_line_thr": 0.67},
    "repeated-lines": {"char_duplicates_ratio": 0.01},
    "list-like": {"new_line_ratio": 0.3},
}


def documents(folder: Path) -> list[str]:
    """The texts of all records, in order; those without any text are left out."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            found += [json.loads(line)["text"] for line in file]
    return [text for text in found if text.strip()]


def rules() -> dict[str, Any]:
    """A filter for each rule, the others of its kind switched off."""
    quality = dict.fromkeys((key for one in _QUALITY.values() for key in one), None)
    quality["max_doc_words"] = None
    repeated: dict[str, Any] = dict.fromkeys(key for one in _REPEATED.values() for key in one)
    repeated |= {"top_n_grams": (), "dup_n_grams": ()}
    pages: dict[str, Any] = {
        "filter_no_terminal_punct": False,
        "min_num_sentences": -1,
        "min_words_per_line": -1,
        "max_word_length": -1,
        "filter_lorem_ipsum": False,
        "filter_javascript": False,
        "filter_curly_bracket": False,
        "filter_policy": False,
    }
    web: dict[str, Any] = {
        "line_punct_thr": -1,
        "short_line_thr": 2,
        "char_duplicates_ratio": 2,
        "new_line_ratio": 1e9,
    }
    return {
        **{n: gopher.GopherQualityFilter(**{**quality, **one}) for n, one in _QUALITY.items()},
        **{
            n: repetition.GopherRepetitionFilter(**{**repeated, **one})
            for n, one in _REPEATED.items()
        },
        **{n: c4.C4QualityFilter(**{**pages, **one}) for n, one in _PAGES.items()},
        **{n: fineweb.FineWebQualityFilter(**{**web, **one}) for n, one in _FINEWEB.items()},
    }


N_GRAMS = (
    "words without marks",
    "characters of words",
    "one n-gram repeats nothing, each character once",
)
"""What changes in the rules about n-grams, one on top of the other, from words as white space cuts them."""

_WORD = re.compile("[\u0800-\U0010ffff]|[0-9A-Za-z_\x80-\u07ff]+")
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def n_grams(texts: list[str]) -> dict[str, list[list[int]]]:
    """For each rule about n-grams and each step of N_GRAMS, the documents that it drops."""
    limits = {f"top-{n}-gram": (n, share) for n, share in ((2, 0.2), (3, 0.18), (4, 0.16))}
    limits |= {f"repeated-{n}-grams": (n, (20 - n) / 100) for n in range(5, 11)}
    dropped: dict[str, list[list[int]]] = {name: [[] for _ in N_GRAMS] for name in limits}
    for number, text in enumerate(texts):
        words = _WORD.findall(text.translate(_LOWER))
        size = sum(map(len, words)) or 1
        for name, (n, limit) in limits.items():
            if len(words) < n:
                continue
            grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
            if name.startswith("top"):
                joined = repetition.find_top_duplicate([" ".join(gram) for gram in grams])
                plain = repetition.find_top_duplicate(["".join(gram) for gram in grams])
                ours = max(
                    (len("".join(g)) * k for g, k in Counter(grams).items() if k > 1), default=0
                )
            else:
                joined = plain = repetition.find_all_duplicate(words, n)
                ours = _inside_repeated(words, grams)
            shares = (joined / len(text), plain / size, ours / size)
            for found, share in zip(dropped[name], shares, strict=True):
                if share > limit:
                    found.append(number)
    return dropped


def _inside_repeated(words: list[str], grams: list[tuple[str, ...]]) -> int:
    """Characters of the words that are inside an n-gram that came before."""
    seen: set[tuple[str, ...]] = set()
    inside: set[int] = set()
    for place, gram in enumerate(grams):
        if gram in seen:
            inside.update(range(place, place + len(gram)))
        seen.add(gram)
    return sum(len(words[place]) for place in inside)


def drops(one: Any, text: str) -> bool:
    """Whether a filter drops a document; what it cannot take (no words, no lines) counts as dropped."""
    try:
        verdict = one.filter(Document(text=text, id="0"))
    except (ZeroDivisionError, ValueError, IndexError):
        return True
    return verdict is not True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of JSON lines")
    parser.add_argument("--words", choices=("spacy", "white-space"), default="spacy")
    parser.add_argument("--n-grams", action="store_true")
    asked = parser.parse_args()
    texts = documents(asked.folder)
    if asked.n_grams:
        json.dump(n_grams(texts), sys.stdout)
        return
    c4_lines = c4.C4QualityFilter(filter_no_terminal_punct=False, min_num_sentences=-1)
    whole = {
        "c4": [c4.C4QualityFilter(filter_no_terminal_punct=False)],
        "fineweb": [fineweb.FineWebQualityFilter()],
    }
    seconds = {name: timed(chain, texts) for name, chain in whole.items()}
    split = gopher.split_into_words
    if asked.words == "white-space":
        split = lambda text, _: text.split()  # noqa: E731
    kept: Callable[..., list[str]] = lru_cache(maxsize=4)(split)
    for module in (gopher, repetition, fineweb):
        module.split_into_words = kept
    wanted = rules()
    dropped: dict[str, list[int]] = {name: [] for name in wanted}
    cleaned: list[str | None] = []
    for number, text in enumerate(texts):
        page = Document(text=text, id="0")
        cleaned.append(page.text if c4_lines.filter(page) is True else None)
        for name, one in wanted.items():
            asked_of = cleaned[-1] if name in _FINEWEB else text
            if asked_of is not None and drops(one, asked_of):
                dropped[name].append(number)
    json.dump({"seconds": seconds, "dropped": dropped, "cleaned": cleaned}, sys.stdout)


def timed(chain: list[Any], texts: list[str]) -> float:
    """Seconds of CPU of filters over all documents."""
    for one in chain:
        drops(one, texts[0])
    begin = time.process_time()
    for text in texts:
        for one in chain:
            drops(one, text)
    return time.process_time() - begin


if __name__ == "__main__":
    main()
