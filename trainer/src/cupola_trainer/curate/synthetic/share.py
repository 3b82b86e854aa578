"""The work of one pod: the answers of its share, as a file of documents."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import zstandard

from cupola_api.run import GenerateRun
from cupola_trainer import timesheet
from cupola_trainer.curate.progress import Progress
from cupola_trainer.curate.synthetic import answers, asking
from cupola_trainer.curate.synthetic.answers import Answer
from cupola_trainer.curate.synthetic.budget import Budget, cost
from cupola_trainer.curate.synthetic.requests import Request, numbers, prompt_of, request
from cupola_trainer.curate.synthetic.seeds import Seeds

DOCUMENTS = "documents.jsonl.zst"
"""The file of a share."""

COUNTS = ("requests", "made", "empty", "failed", "truncated", "inputTokens", "outputTokens")


def write(run: GenerateRun, share: int, folder: Path) -> dict[str, Any]:
    """Let the model write what is missing; returns the facts of the share's manifest.

    Raises PodFailure, or OSError if storage does not answer.
    """
    seeds = Seeds(run)
    requests = _requests(run, share, seeds)
    place = answers.place(run)
    found = answers.kept(place, {one.key for one in requests})
    missing = [one for one in requests if one.key not in found]
    if found:
        print(f"generate {share}: {len(found):,} answers are there", flush=True)
    budget = Budget(run)
    for answer in found.values():
        budget.settle(answer)
    progress = Progress(f"generate {share}")
    keeper = answers.Keeper(place)
    size = sum(len(answer.text.encode()) for answer in found.values())

    def keep(some: Sequence[Answer]) -> None:
        keeper.keep(some)
        found.update((one.key, one) for one in some)
        nonlocal size
        size += (more := sum(len(one.text.encode()) for one in some))
        progress.reach(len(found), size, len(found) / len(requests), of_stage=run.documents)
        progress.add(len(some), more)

    failed: set[str] = set()
    whole = True
    if missing and run.endpoint:
        timesheet.works()
        failed, whole = asking.ask(run, run.endpoint, missing, budget, keep, went_well=bool(found))
    elif missing:
        from cupola_trainer.curate.synthetic import model  # noqa: PLC0415  it imports torch

        whole = model.write(run, missing, budget, keep)
    keeper.merge()
    progress.say()
    counts = _write(run, requests, found, failed, folder / DOCUMENTS)
    price = run.endpoint.price if run.endpoint else None
    spent = cost(price, counts["inputTokens"], counts["outputTokens"]) if price else None
    return {
        **{name: counts[name] for name in COUNTS},
        "cost": None if spent is None else str(spent),
        "budgetUsedUp": not whole,
        "seeds": seeds.digest,
        "worked": {"documents": counts["requests"], "bytes": size},
    }


def _requests(run: GenerateRun, share: int, seeds: Seeds) -> list[Request]:
    """The requests of a share, in order."""
    mine = numbers(run, share)
    texts = seeds.texts({seeds.key(number) for number in mine})
    found = []
    for number in mine:
        key = seeds.key(number)
        prompt = prompt_of(run, number, len(seeds.keys))
        found.append(request(run, number, prompt, key, texts[key]))
    return found


def _write(
    run: GenerateRun,
    requests: Sequence[Request],
    found: dict[str, Answer],
    failed: set[str],
    path: Path,
) -> Counter[str]:
    """Write the documents, in the order of the requests, and count."""
    counts: Counter[str] = Counter()
    packer = zstandard.ZstdCompressor(level=3)
    with (
        path.open("wb") as raw,
        packer.stream_writer(raw) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as lines,
    ):
        for one in requests:
            answer = found.get(one.key)
            counts["requests"] += answer is not None or one.key in failed
            counts["failed"] += one.key in failed
            if answer is None:
                continue
            counts["inputTokens"] += answer.input_tokens
            counts["outputTokens"] += answer.output_tokens
            if answer.empty:
                counts["empty"] += 1
                continue
            counts["made"] += 1
            counts["truncated"] += answer.truncated
            lines.write(json.dumps(_line(run, one, answer), ensure_ascii=False) + "\n")
    return counts


def _line(run: GenerateRun, one: Request, answer: Answer) -> dict[str, Any]:
    """A document: its text, and how it came about."""
    return {
        "text": answer.text,
        "prompt": one.text,
        **({"system": one.system} if one.system else {}),
        "synthetic": {
            "model": run.writer,
            "prompt": one.prompt,
            "document": one.document,
            "seed": one.seed,
            "truncated": answer.truncated,
        },
    }


def added(facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The facts of all shares together."""
    costs = [Decimal(one["cost"]) for one in facts if one["cost"] is not None]
    return {
        **{name: sum(one[name] for one in facts) for name in COUNTS},
        "cost": f"{sum(costs, Decimal(0)).normalize():f}" if costs else None,
        "budgetUsedUp": any(one["budgetUsedUp"] for one in facts),
    }
