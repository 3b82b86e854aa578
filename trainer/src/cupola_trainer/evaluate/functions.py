"""pythonFunction: the share of generated answers that are exactly one Python function.

The score says whether a model knows the form of its task, not whether the function is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cupola_trainer.evaluate.results import Measured, Result, Subject
from cupola_trainer.evaluate.verdict import Verdict, verdict
from cupola_trainer.generate import answers

BATCH = 32
"""Prompts that are answered at a time."""


def measure(
    subject: Subject,
    prompts: list[str],
    *,
    max_new_tokens: int,
    report: Callable[[float], None],
) -> Result:
    """Let a model answer `prompts`, greedily, and judge each answer.

    Chance is 0: tokens drawn at random practically never parse, let alone close one function.
    """
    # Like lengths go together, so that little of a batch is padding and short ones end early.
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found: dict[int, tuple[str, bool]] = {}
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        said = answers(
            subject.model,
            subject.tokenizer,
            [prompts[i] for i in batch],
            max_new_tokens=max_new_tokens,
            batch_size=BATCH,
        )
        found |= {i: (text, ended) for i, (text, ended) in zip(batch, said, strict=True)}
        report(len(found) / len(prompts))
    judged = [(*found[i], verdict(found[i][0], ended=found[i][1])) for i in range(len(prompts))]
    share = sum(v is Verdict.FUNCTION for *_, v in judged) / len(judged)
    return Result(
        [
            Measured(
                metric="share",
                value=share,
                standard_error=math.sqrt(share * (1 - share) / len(judged)),
                chance=0.0,
                samples=len(judged),
            )
        ],
        [
            {"prompt": prompt, "answer": text, "ended": ended, "verdict": v.value}
            for prompt, (text, ended, v) in zip(prompts, judged, strict=True)
        ],
    )
