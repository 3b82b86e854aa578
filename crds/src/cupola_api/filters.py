"""Which documents a Dataset keeps: the filters of its curation, and every quality rule by name."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from cupola_api.base import Model, Rule, Ruled
from cupola_api.common import Uri
from cupola_api.languages import LANGUAGES

FieldName = Annotated[str, Field(min_length=1, max_length=128)]
RuleName = Annotated[str, Field(min_length=1, max_length=41)]
ListName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=24)
]


class QualityRules(StrEnum):
    """A family of quality rules: what is junk in prose is normal in code."""

    PROSE = "Prose"
    CODE = "Code"
    WEB = "Web"
    C4 = "C4"


_PROSE, _CODE, _WEB, _C4 = QualityRules


class QualityRule(NamedTuple):
    """What a quality rule drops, and from which value on."""

    families: tuple[QualityRules, ...]
    """Those that it belongs to."""
    default: float | Literal["none", "off"]
    """Its threshold; none: it has no threshold; off: it counts only where a threshold is given."""
    drops: str
    """A document (or, of rules named line-..., a line) with ...; N stands for the threshold."""


_GOPHER = (_PROSE, _WEB)
_LINES = (_WEB, _C4)

QUALITY_RULES: dict[str, QualityRule] = {
    "short-words": QualityRule(_GOPHER, 3, "words of fewer than N characters on average"),
    "long-words": QualityRule(_GOPHER, 10, "words of more than N characters on average"),
    "hash-signs": QualityRule(_GOPHER, 0.1, "more than N hash signs a word"),
    "dots": QualityRule(_GOPHER, 0.1, "more than N ellipses a word"),
    "bullets": QualityRule(_GOPHER, 0.9, "a share of lines above N that begin with a bullet"),
    "ellipses": QualityRule(_GOPHER, 0.3, "a share of lines above N that end with an ellipsis"),
    "alphabetic-words": QualityRule(_GOPHER, 0.8, "a share of words below N that hold a letter"),
    "stop-words": QualityRule(
        _GOPHER,
        2,
        "fewer than N different ones of the, be, to, of, and, that, have, with",
    ),
    "terminal-punctuation": QualityRule(
        (_PROSE,), 1, "fewer than N lines that end like a sentence"
    ),
    "lorem-ipsum": QualityRule(
        (_PROSE, _WEB, _C4), 0, "more than N times the filler text lorem ipsum"
    ),
    "curly-bracket": QualityRule(
        (_PROSE, _WEB, _C4), 0, "more than N curly brackets: code or a template"
    ),
    "duplicate-lines": QualityRule(_GOPHER, 0.3, "a share of lines above N that occurred before"),
    "duplicate-line-characters": QualityRule(
        _GOPHER, 0.2, "a share of characters above N in lines that occurred before"
    ),
    "duplicate-paragraphs": QualityRule(
        _GOPHER, 0.3, "a share of paragraphs above N that occurred before"
    ),
    "duplicate-paragraph-characters": QualityRule(
        _GOPHER, 0.2, "a share of characters above N in paragraphs that occurred before"
    ),
    **{
        f"top-{n}-gram": QualityRule(
            _GOPHER, share, f"a share of characters above N in the most frequent {n} words in a row"
        )
        for n, share in ((2, 0.2), (3, 0.18), (4, 0.16))
    },
    **{
        f"repeated-{n}-grams": QualityRule(
            _GOPHER, share, f"a share of characters above N in {n} words in a row that came before"
        )
        for n, share in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.1))
    },
    "line-long-word": QualityRule(_LINES, 1000, "a word of more than N characters"),
    "line-unfinished": QualityRule(
        (_C4,), "none", "no full stop, question or exclamation mark or quote at its end"
    ),
    "line-few-words": QualityRule(_LINES, 3, "fewer than N words"),
    "line-javascript": QualityRule(_LINES, "none", "the word javascript"),
    "line-policy": QualityRule(
        _LINES, "none", "terms of use, a privacy or cookie policy, or the use of cookies"
    ),
    "few-sentences": QualityRule(_LINES, 5, "fewer than N sentences in the lines that are left"),
    "unpunctuated-lines": QualityRule(
        (_WEB,), 0.12, "a share of lines below N that end with a mark that ends sentences"
    ),
    "short-lines": QualityRule(
        (_WEB,), 0.67, "a share of lines above N that have 30 characters or fewer"
    ),
    "repeated-lines": QualityRule(
        (_WEB,), 0.01, "a share of characters above N in lines that occurred before, when cleaned"
    ),
    "list-like": QualityRule((_WEB,), 0.3, "more than N line ends a word"),
    "large-file": QualityRule((_CODE,), 1 << 20, "more than N bytes"),
    "long-line": QualityRule((_CODE,), 1000, "a line of more than N characters: data or minified"),
    "long-lines": QualityRule((_CODE,), 100, "lines of more than N characters on average"),
    "few-letters": QualityRule(
        (_CODE,), 0.25, "a share of characters below N that are letters or digits"
    ),
    "numbers": QualityRule((_CODE,), "off", "a share of characters above N that are digits: data"),
    "licence-header": QualityRule(
        (_CODE,), "off", "a share of characters above N in a comment at its head about its licence"
    ),
    "generated": QualityRule((_CODE,), "none", "a line among the first ten that says: generated"),
    "encoded-data": QualityRule(
        (_CODE,), 1024, "N bytes or more of base64 or hexadecimal in one piece"
    ),
    "encoded-share": QualityRule(
        (_CODE,), "off", "a share of bytes above N in base64 or hexadecimal"
    ),
    "syntax-error": QualityRule((_CODE,), "none", "a syntax error: it does not parse as Python 3"),
}
"""Every quality rule but minWords and maxWords: name in counts -> what it drops."""


def rules_of(family: QualityRules) -> dict[str, QualityRule]:
    """The rules of a family, in order."""
    return {name: rule for name, rule in QUALITY_RULES.items() if family in rule.families}


def _known(family: QualityRules) -> tuple[Rule, Rule]:
    """Only rules of the family are skipped, and only those with a threshold get one."""
    found = rules_of(family)
    numbered = [name for name, rule in found.items() if rule.default != "none"]
    return (
        Rule(
            f"self.rules != '{family}' || !has(self.thresholds) || "
            f"self.thresholds.all(name, name in {numbered})",
            f"thresholds names a rule that {family} does not have, or that has no threshold; "
            f"write one of {', '.join(numbered)}",
        ),
        Rule(
            f"self.rules != '{family}' || !has(self.skip) || "
            f"self.skip.all(name, name in {[*found]})",
            f"skip names a rule that {family} does not have; write one of {', '.join(found)}",
        ),
    )


class Quality(Ruled):
    """Drops documents that a model should not learn from; each drop is counted by rule."""

    rules: ClassVar = tuple(rule for family in QualityRules for rule in _known(family))

    rules_for: QualityRules = Field(
        QualityRules.PROSE,
        alias="rules",
        description="Prose: rules after Gopher and C4 (length, symbols, stop words, repetition). "
        "Code: rules after The Stack and StarCoder (line lengths, alphanumeric share, generated "
        "or data-like files, code that does not parse). Web: the rules of FineWeb (Gopher, C4 "
        "without terminal punctuation, FineWeb's own), which also take lines out of documents. "
        "C4: those of C4 alone, which keep only lines that end like a sentence.",
    )
    min_words: int | None = Field(
        None,
        ge=0,
        le=100_000,
        description="Fewer words drop a document; 50 for Prose and Web, 5 for Code, 0 for C4.",
    )
    max_words: int = Field(100_000, ge=1, le=100_000_000, description="More words drop a document.")
    thresholds: dict[str, Annotated[float, Field(ge=0, le=1e9)]] | None = Field(
        None,
        max_length=40,
        description="Rule name to threshold, in place of the family's own. docs/how-to/curation.md "
        "lists the rules; those that are off by default are on with a threshold.",
    )
    skip: list[RuleName] | None = Field(
        None, max_length=40, description="Rules of the family that are left out."
    )

    def threshold(self, name: str) -> float | None:
        """The threshold of a rule of the family; 0 of one that has none, None of one that is off."""
        default = QUALITY_RULES[name].default
        if name in (self.skip or ()):
            return None
        if name in (self.thresholds or {}):
            return (self.thresholds or {})[name]
        return None if default == "off" else 0.0 if default == "none" else float(default)


class Language(Ruled):
    """Tells the language of each document, by n-grams of its bytes; counted by language."""

    rules: ClassVar = (
        Rule(
            f"!has(self.keep) || self.keep.all(code, code in {[*LANGUAGES]})",
            "keep names a language that is not recognised; write ISO 639 codes such as en, de or "
            "zh, of which docs/how-to/curation.md lists those that are",
        ),
    )

    keep: list[Annotated[str, Field(min_length=2, max_length=3)]] | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="ISO 639 codes, such as en and de: documents in other languages are dropped. "
        "Absent: none is, they are only counted.",
    )
    min_score: float = Field(
        0.65,
        ge=0,
        le=1,
        description="How sure the language of a document must be, where keep is given; a less sure "
        "one is dropped.",
    )


class Matches(StrEnum):
    """What the entries of a block-list are compared with."""

    WORDS = "Words"
    URL = "Url"


class BlockList(Ruled):
    """A file of words or addresses; documents that match are dropped, counted as block-NAME."""

    rules: ClassVar = (
        Rule(
            "self.matches == 'Words' || self.minMatches == 1",
            "a document has one address: leave out minMatches, or write matches: Words",
        ),
    )

    name: ListName = Field(description="Its name in counts.")
    uri: Uri = Field(
        description="A text file (.gz and .zst too), one entry a line; empty lines and those that "
        "begin with # do not count."
    )
    matches: Matches = Field(
        description="Words: an entry is a word or up to 8 in a row, upper case as lower, wherever "
        "they stand in a document. Url: an entry is a domain, with those below it, or a domain and "
        "the beginning of a path; it is compared with the address of a document: of a Jsonl or "
        "Parquet record the field url."
    )
    min_matches: int = Field(
        1, ge=1, le=10_000, description="Matches in a document from which on it is dropped."
    )


class Benchmark(Model):
    """Questions and answers that a model is to be measured with, and must not learn."""

    name: ListName = Field(description="Its name in counts.")
    uri: Uri = Field(description="A file in JSON lines (.gz and .zst too) or Parquet.")
    fields: list[FieldName] | None = Field(
        None,
        min_length=1,
        max_length=16,
        description="The fields of a record that are compared, each by itself; lists and objects "
        "with all strings in them. All fields by default.",
    )


class Decontamination(Model):
    """Drops documents that share a passage with a benchmark, counted as benchmark-NAME.

    A passage is `words` words in a row, upper case as lower, punctuation aside; a text of a
    benchmark with fewer words, but 8 or more, counts as one passage.
    """

    benchmarks: list[Benchmark] = Field(
        min_length=1, max_length=16, description="What must not be in the data."
    )
    words: int = Field(13, ge=8, le=50, description="Words in a row that make a passage.")


class Examples(Model):
    """Documents of one kind."""

    uri: Uri = Field(
        description="A file in JSON lines (.gz and .zst too) or Parquet, or a folder of them; the "
        "documents are in the field text. 50 at least; of more than 32 MiB of text the first are "
        "taken."
    )


class Classifier(Model):
    """Scores each document by how much it is like one set of documents rather than another.

    A classifier is trained on the two sets when the sources are listed: logistic regression on words
    and pairs of words. Documents that score low are dropped, counted as classifier.
    """

    good: Examples = Field(description="Documents that a model should learn from.")
    bad: Examples = Field(description="Documents that it should not learn from.")
    min_score: float = Field(
        0.5,
        ge=0,
        le=1,
        description="The least score of a document that stays; the artifact's curation.json has a "
        "histogram of scores.",
    )
