"""The filters of a Dataset, one after the other over a batch of its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cupola_api.dataset import Curation
from cupola_api.filters import Language, Quality, QualityRules
from cupola_trainer.curate.filters.blocking import Blocking
from cupola_trainer.curate.filters.classifier import Classifier
from cupola_trainer.curate.filters.decontaminating import Decontaminating
from cupola_trainer.curate.filters.quality import AFTER, judge
from cupola_trainer.curate.records import Record
from cupola_trainer.curate.samples import Samples
from cupola_trainer.curate.tally import Tally

LANGUAGE = "language"
UNSURE = "language-unsure"
LOW = "classifier"


class Filters:
    """Block-lists, language, quality, classifier and benchmarks, as far as a Dataset asks for them."""

    def __init__(
        self,
        curation: Curation,
        samples: Samples,
        blocking: Blocking | None = None,
        decontaminating: Decontaminating | None = None,
        classifier: Classifier | None = None,
    ) -> None:
        self._curation = curation
        self._samples = samples
        self._blocking = blocking
        self._decontaminating = decontaminating
        self._classifier = classifier

    def keep(self, tally: Tally, batch: list[Record]) -> list[Record]:
        """The records that stay, perhaps with less text; the others are counted and sampled."""
        if self._blocking:
            texts = [_all_text(record) for record in batch]
            urls = [record.url for record in batch]
            batch = self._without(tally, batch, self._blocking.judge(texts, urls))
        if self._curation.language and batch:
            batch = self._without(tally, batch, _spoken(tally, batch, self._curation.language))
        if self._curation.quality and batch:
            batch = self._of_quality(tally, batch, self._curation.quality)
        if self._classifier and self._curation.classifier and batch:
            scores = self._classifier.scores([record.text for record in batch])
            tally.scores.update(f"{int(min(score, 0.99) * 10) / 10}" for score in scores.tolist())
            low = scores < self._curation.classifier.min_score
            batch = self._without(tally, batch, [LOW if one else None for one in low.tolist()])
        if self._decontaminating and batch:
            texts = [_all_text(record) for record in batch]
            batch = self._without(tally, batch, self._decontaminating.judge(texts))
        return batch

    def _of_quality(self, tally: Tally, batch: list[Record], quality: Quality) -> list[Record]:
        # Where the document is only a prompt and its answer, the answer is the code.
        answers = quality.rules_for is QualityRules.CODE
        documents = [r.output if answers and r.composed and r.output else r.text for r in batch]
        whole = {i for i, record in enumerate(batch) if record.composed}
        judged = judge(documents, quality, whole)
        tally.lines.update(judged.lines)
        if quality.rules_for in AFTER:
            batch = [
                record if i in whole else replace(record, text=text)
                for i, (record, text) in enumerate(zip(batch, judged.texts, strict=True))
            ]
        return self._without(tally, batch, judged.rules)

    def _without(
        self, tally: Tally, batch: list[Record], verdicts: Sequence[str | None]
    ) -> list[Record]:
        """The records without a verdict."""
        kept = []
        for record, rule in zip(batch, verdicts, strict=True):
            if rule is None:
                kept.append(record)
            else:
                tally.dropped[rule] += 1
                self._samples.add(rule, record.text)
        return kept


def _spoken(tally: Tally, batch: list[Record], wanted: Language) -> list[str | None]:
    """The rule that drops each record for its language."""
    from cupola_trainer.curate.filters.language import identify  # noqa: PLC0415  loads a model

    found = identify([record.text for record in batch])
    tally.languages.update(code for code, _ in found)
    if wanted.keep is None:
        return [None] * len(batch)
    return [
        LANGUAGE if code not in wanted.keep else UNSURE if score < wanted.min_score else None
        for code, score in found
    ]


def _all_text(record: Record) -> str:
    """Everything that is trained on."""
    if record.composed or record.input is None or record.output is None:
        return record.text
    return f"{record.text}\n\n{record.input}\n\n{record.output}"
