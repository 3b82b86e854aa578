"""From a task of run.yaml to something that measures a model: its data checked and in memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from cupola_api.common import Lineage
from cupola_api.evaluation import HarnessTask, PerplexityTask, PythonFunctionTask
from cupola_api.outcome import FailureClass
from cupola_api.part import read_facts
from cupola_api.run import EvaluateRun, Input, ResolvedTask
from cupola_trainer import storage
from cupola_trainer.evaluate import functions, harness, harness_config, perplexity
from cupola_trainer.evaluate.results import Result, Subject
from cupola_trainer.likelihood import answer, document
from cupola_trainer.pairs import read_pairs
from cupola_trainer.pod import PodFailure
from cupola_trainer.shards import read_documents

Report = Callable[[float], None]
"""Takes the share of something that is done."""


class Prepared(NamedTuple):
    """A task with its data, ready for a model."""

    metrics: list[str]
    data: Lineage
    measure: Callable[[Subject, Report], Result]


def prepare(resolved: ResolvedTask, run: EvaluateRun, models: list[Path], cache: Path) -> Prepared:
    """Check and load a task's data; `models` are the folders of what will be measured with it.

    `cache` is a folder for temporary files. Raises PodFailure where the data does not serve.
    """
    task = resolved.task
    if task.harness and resolved.folder:
        folder = storage.copied_tree(storage.place_of(resolved.folder), cache)
        return _harness(task.harness, folder, run.seed, cache)
    if task.perplexity and resolved.dataset:
        return _perplexity(task.perplexity, resolved.dataset, models)
    if task.python_function and resolved.dataset:
        return _python_function(task.python_function, resolved.dataset)
    raise PodFailure(
        "TaskIncomplete",
        f"task {task.name} came without its data; write a dataset or a data folder for it",
        FailureClass.USER,
    )


def _harness(task: HarnessTask, folder: Path, seed: int, cache: Path) -> Prepared:
    loaded = harness.load(folder, task.task, shots=task.shots, seed=seed, cache=cache)
    return Prepared(
        list(loaded.aggregation()),
        Lineage(kind="Source", name=folder.name[:63], digest=harness_config.digest(folder)),
        lambda subject, _: harness.measure(subject, loaded, limit=task.limit),
    )


def _perplexity(task: PerplexityTask, source: Input, models: list[Path]) -> Prepared:
    """Of held-out answers where the Dataset has pairs, else of held-out documents."""
    dataset = storage.open_input(source, "pairs/", "validation/")
    facts = read_facts(dataset)
    for model in models:
        if read_facts(model).get("tokenizerDigest") != facts.get("tokenizerDigest"):
            # Perplexities a token are comparable between the same tokens only.
            raise PodFailure(
                "TokenizerMismatch",
                f"Dataset {source.name} has another tokenizer than a measured model; measure "
                "perplexity on the Dataset that the model was trained on, or on one that names "
                "that Dataset in spec.tokenizer.dataset",
                FailureClass.USER,
            )
    if (dataset / "pairs").is_dir():
        pairs = _pairs(dataset, source, task.limit)
        return Prepared(
            ["perplexity"],
            source.lineage(),
            lambda subject, report: perplexity.measure(
                subject, [answer(subject.tokenizer, *pair) for pair in pairs], report
            ),
        )
    documents = read_documents(dataset / "validation", int(facts["vocabulary"]))[: task.limit]
    if not documents:
        raise _nothing_held_out(source)
    return Prepared(
        ["perplexity"],
        source.lineage(),
        lambda subject, report: perplexity.measure(
            subject,
            [document(d.tolist(), subject.tokenizer.eos_token_id) for d in documents],
            report,
        ),
    )


def _python_function(task: PythonFunctionTask, source: Input) -> Prepared:
    dataset = storage.open_input(source, "pairs/")
    if not (dataset / "pairs").is_dir():
        raise PodFailure(
            "DatasetHasNoTask",
            f"Dataset {source.name} has no prompts and answers; write spec.task in it, with a new "
            "spec.revision",
            FailureClass.USER,
        )
    prompts = [prompt for prompt, _ in _pairs(dataset, source, task.limit)]
    return Prepared(
        ["share"],
        source.lineage(),
        lambda subject, report: functions.measure(
            subject, prompts, max_new_tokens=task.max_new_tokens, report=report
        ),
    )


def _pairs(dataset: Path, source: Input, limit: int) -> list[tuple[str, str]]:
    pairs = list(islice(read_pairs(dataset, "validation"), limit))
    if not pairs:
        raise _nothing_held_out(source)
    return pairs


def _nothing_held_out(source: Input) -> PodFailure:
    return PodFailure(
        "NothingHeldOut",
        f"Dataset {source.name} holds nothing out to measure on; write a larger spec.validation in "
        "it, with a new spec.revision",
        FailureClass.USER,
    )
