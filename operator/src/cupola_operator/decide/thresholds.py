"""Whether scores are good enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cupola_api.evaluation import Score, Threshold

_LONGEST = 512


def missed(thresholds: Sequence[Threshold], scores: Sequence[Score]) -> list[str]:
    """A sentence for each threshold that `scores` miss; a score that is not there misses it."""
    found = {(score.task, score.metric): score for score in scores}
    sentences = (
        "; ".join(_judge(threshold, found.get((threshold.task, threshold.metric)), scores))
        for threshold in thresholds
    )
    return [sentence[:_LONGEST] for sentence in sentences if sentence]


def _judge(threshold: Threshold, score: Score | None, scores: Sequence[Score]) -> Iterator[str]:
    what = f"{threshold.metric} of {threshold.task}"
    if score is None:
        known = [s.metric for s in scores if s.task == threshold.task]
        yield f"{what} was not measured; {threshold.task} has {', '.join(known) or 'no scores'}"
        return
    if threshold.min is not None and score.value < threshold.min:
        yield f"{what} is {score.value:g}, below {threshold.min:g}"
    if threshold.max is not None and score.value > threshold.max:
        yield f"{what} is {score.value:g}, above {threshold.max:g}"
    if threshold.max_drop is None:
        return
    if score.compared_to is None:
        yield f"{what} has no value for compareTo to compare with"
        return
    worse = score.compared_to - score.value
    drop = worse if score.higher_is_better else -worse
    if drop > threshold.max_drop:
        yield (
            f"{what} is {score.value:g}, worse by {drop:g} than {score.compared_to:g} of "
            f"compareTo; at most {threshold.max_drop:g} is allowed"
        )
