"""harness: a benchmark of lm-evaluation-harness, on a model in memory, without a network."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

import datasets
import lm_eval.utils
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from lm_eval.api.task import Task
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from cupola_api.outcome import FailureClass
from cupola_trainer.evaluate import harness_config
from cupola_trainer.evaluate.results import SAMPLES, Measured, Result, Subject
from cupola_trainer.failures import failure_of
from cupola_trainer.likelihood import LOGITS
from cupola_trainer.pod import PodFailure

BATCH = 32
"""Requests that a model takes at a time, at most; fewer where their logits would fill memory."""

BOOTSTRAP = 100
"""Resamples for the standard error of a metric that has no formula for it."""

GUESSED = frozenset({"acc", "acc_bytes", "acc_mutual_info", "acc_norm"})
"""Metrics for which one choice of n, drawn at random, scores 1 / n."""

# A task's Jinja templates are data from a store: they may format text, and reach nothing else.
_sandbox = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
_sandbox.filters |= lm_eval.utils.env.filters
lm_eval.utils.env = _sandbox

os.environ["DISABLE_MULTIPROC"] = "1"  # a bootstrap of a second needs no pool of processes
logging.getLogger("lm_eval").setLevel(logging.ERROR)
datasets.disable_progress_bars()


def load(folder: Path, name: str, *, shots: int, seed: int, cache: Path) -> Task:
    """The task `name` of a folder, its data read; `cache` is a folder for the data's tables.

    Raises PodFailure where it cannot be loaded.
    """
    config = harness_config.load(folder, name)
    config["dataset_kwargs"]["cache_dir"] = str(cache)
    config["num_fewshot"] = shots
    try:
        task: Task = TaskManager(include_defaults=False).load([config])["tasks"][name]
    except Exception as error:
        raise _invalid(name, error) from error
    task.set_fewshot_seed(seed=seed)
    return task


def measure(subject: Subject, task: Task, *, limit: int | None) -> Result:
    """Every metric that the harness reports for the task, with its standard error.

    A question longer than the model's context loses its beginning. Chance is known for multiple
    choice: the mean over the questions of 1 / number of choices. Raises PodFailure for questions
    that the task's own templates do not fit.
    """
    config = subject.model.config
    context: int = config.max_position_embeddings
    model = HFLM(
        pretrained=subject.model,
        tokenizer=subject.tokenizer,
        backend="causal",
        batch_size=max(1, min(BATCH, LOGITS // (context * config.vocab_size))),
        max_length=context,
    )
    loaded = {"tasks": {task.task_name: task}, "groups": {}, "group_map": {}}
    try:
        found: Any = evaluate(model, loaded, limit=limit, bootstrap_iters=BOOTSTRAP)
    except RuntimeError:  # of torch
        raise
    except Exception as error:
        raise _invalid(task.task_name, error) from error
    results: dict[str, Any] = found["results"][task.task_name]
    better: dict[str, bool] = found["higher_is_better"][task.task_name]
    samples: list[dict[str, Any]] = found["samples"][task.task_name]
    count = int(found["n-samples"][task.task_name]["effective"])
    chance = _chance(task, limit)
    measured = []
    for key, value in sorted(results.items()):
        metric, comma, kept_by = key.partition(",")
        if not comma or metric.endswith("_stderr"):
            continue
        spread = results.get(f"{metric}_stderr,{kept_by}")
        measured.append(
            Measured(
                metric=_name(metric, kept_by),
                value=float(value),
                standard_error=spread if isinstance(spread, float) else None,
                chance=chance if metric in GUESSED else None,
                higher_is_better=better.get(metric, True),
                samples=count,
            )
        )
    return Result(measured, [_sample(sample, better) for sample in samples[:SAMPLES]])


def _invalid(name: str, error: Exception) -> PodFailure:
    """Whatever the harness finds wrong with the files of a task, if not with memory or storage."""
    if failure := failure_of(error, remedy="choose a pool with more memory in spec.pools"):
        return failure
    first = f"{type(error).__name__}: {error}".splitlines()[0]
    return PodFailure(
        "HarnessTaskInvalid",
        f"lm-evaluation-harness cannot use task {name}; correct its files: {first}"[:400],
        FailureClass.USER,
    )


def _name(metric: str, kept_by: str) -> str:
    """A metric's name in scores: with the filter of answers, where there is one."""
    text = metric if kept_by == "none" else f"{metric}_{kept_by}"
    return re.sub(r"[^a-z0-9_]", "_", text.lower())[:63]


def _chance(task: Task, limit: int | None) -> float | None:
    if task.OUTPUT_TYPE != "multiple_choice":
        return None
    shares = [1 / len(task.doc_to_choice(doc)) for _, doc in task.doc_iterator(limit=limit)]
    return sum(shares) / len(shares)


def _sample(sample: dict[str, Any], better: dict[str, bool]) -> dict[str, Any]:
    """A question as the model saw it, what it made of it, and how that was judged."""
    return {
        "prompt": str(sample["arguments"][0][0]),
        "answers": [str(arguments[1]) for arguments in sample["arguments"]],
        "responses": [str(response) for response in sample["filtered_resps"]],
        "target": str(sample["target"]),
        **{metric: sample[metric] for metric in sample["metrics"] if metric in better},
    }
