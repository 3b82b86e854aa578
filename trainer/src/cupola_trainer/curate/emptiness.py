"""What a person is told of a Dataset of which nothing is left: the rule that took most, and the remedy."""

from __future__ import annotations

from cupola_api.filters import QUALITY_RULES
from cupola_api.outcome import FailureClass
from cupola_api.run import CurateRun
from cupola_trainer.curate import quarantine
from cupola_trainer.curate.tally import Tally
from cupola_trainer.pod import PodFailure

_REMEDIES = quarantine.REMEDIES | {
    "missing-field": "name the field that holds the document in spec.sources[].text",
    "empty": "check that the files hold text",
    "min-words": "lower spec.curation.quality.minWords",
    "max-words": "raise spec.curation.quality.maxWords",
    "syntax-error": "use quality rules Prose unless the documents are Python source",
    "stop-words": "leave out spec.curation.quality unless the documents are English prose",
    "curly-bracket": "use quality rules Code if the documents are Python source",
    "language": "name the language in spec.curation.language.keep",
    "language-unsure": "lower spec.curation.language.minScore",
    "few-new-lines": "lower spec.curation.dedup.lines.minLeft",
}
_REMEDIES_OF_GROUPS = {
    "pii-": "use spec.curation.pii.action Redact",
    "block-": "correct the block-list",
    "benchmark-": "raise spec.curation.decontamination.words",
}
_REMEDY = "check that the documents suit the rules, or leave out spec.curation.quality"


def _remedy(rule: str) -> str:
    """What to do about a rule that dropped too much."""
    for group, remedy in _REMEDIES_OF_GROUPS.items():
        if rule.startswith(group):
            return remedy
    if rule not in _REMEDIES and rule in QUALITY_RULES:
        return (
            f"change spec.curation.quality.thresholds, or add {rule} to spec.curation.quality.skip"
        )
    return _REMEDIES.get(rule, _REMEDY)


def empty(run: CurateRun, tally: Tally) -> PodFailure:
    """The failure of a Dataset of which nothing is left, with what took most of it."""
    if tally.read:
        lost = tally.dropped + tally.quarantined
        rule, count = max(sorted(lost.items()), key=lambda item: item[1])
        remedy = _remedy(rule)
        message = (
            f"none of {tally.read:,} documents is left: rule {rule} dropped {count:,}; {remedy}"
        )
    else:
        names = ", ".join(source.name for source in run.sources)
        message = f"the files of {names} hold no document; check uri and format of the sources"
    return PodFailure("DatasetEmpty", message, FailureClass.DATA)
