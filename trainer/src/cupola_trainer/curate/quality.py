"""The verdict on a document's quality: the first rule that it breaks, or none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cupola_api.dataset import Quality, QualityRules
from cupola_trainer.curate import prose, source_code
from cupola_trainer.curate.texts import Texts

_MIN_WORDS = {
    QualityRules.PROSE: prose.DEFAULT_MIN_WORDS,
    QualityRules.CODE: source_code.DEFAULT_MIN_WORDS,
}

RULE_NAMES = ("min-words", "max-words", *prose.RULES, *source_code.RULES, *source_code.SOURCE_RULES)
"""Every rule that `judge` may name."""


def judge(documents: Sequence[str], quality: Quality) -> list[str | None]:
    """For each document the name of the rule that drops it, or None."""
    texts = Texts(documents)
    verdicts: list[str | None] = [None] * len(documents)
    is_code = quality.rules_for is QualityRules.CODE
    least = _MIN_WORDS[quality.rules_for] if quality.min_words is None else quality.min_words
    words = texts.tokens.counts
    broken = {"min-words": words < least, "max-words": words > quality.max_words}
    for name, rule in (source_code.RULES if is_code else prose.RULES).items():
        broken[name] = rule(texts)
    for name, flags in reversed(broken.items()):
        for i in np.flatnonzero(flags).tolist():
            verdicts[i] = name
    if is_code:
        for i, document in enumerate(documents):
            if verdicts[i] is None:
                verdicts[i] = next(
                    (name for name, breaks in source_code.SOURCE_RULES.items() if breaks(document)),
                    None,
                )
    return verdicts
