"""The tokens of a run: its Datasets opened, checked, and cut into sequences.

Sequence `i` of a split is tokens `i * context` to `(i + 1) * context + 1`, its last token being the
first of the next one: as inputs and targets every token is used exactly once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cupola_api.artifact import read_manifest
from cupola_api.outcome import FailureClass
from cupola_api.run import PretrainRun, WeightedInput
from cupola_trainer import storage
from cupola_trainer.pod import PodFailure
from cupola_trainer.pretrain.order import Order
from cupola_trainer.shards import Split

VALIDATION_TOKENS = 2_000_000
"""Most tokens that the loss at the end is measured on."""

_USED = ("train/", "validation/", "tokenizer/")

Tokens = npt.NDArray[np.int64]


class Dataset(NamedTuple):
    """An opened Dataset."""

    folder: Path
    tokenizer: str
    """Digest of its tokenizer."""
    train: Split
    validation: Split


def check(run: PretrainRun, *, main: bool = True) -> None:
    """Check what is used of every Dataset against its digest. Raises PodFailure or OSError.

    What is used in place is checked by rank 0, `main`. What lies in S3 is brought to each machine,
    since samples are drawn from all over it: it takes the bytes of the Datasets below TMPDIR.
    """
    for source in run.datasets:
        storage.open_input(source, *_USED, check_here=main)


def open_datasets(run: PretrainRun) -> list[Dataset]:
    """Open the Datasets of a run. Raises PodFailure if they do not fit it or one another."""
    datasets = [_open(source, run) for source in run.datasets]
    for source, dataset in zip(run.datasets, datasets, strict=True):
        if dataset.tokenizer != datasets[0].tokenizer:
            raise PodFailure(
                "TokenizerMismatch",
                f"Datasets {run.datasets[0].name} and {source.name} have different tokenizers; set "
                f"spec.tokenizer.dataset: {run.datasets[0].name} in {source.name}",
                FailureClass.USER,
            )
        if len(dataset.train) <= run.shape.context:
            raise PodFailure(
                "DatasetTooSmall",
                f"Dataset {source.name} has {len(dataset.train)} training tokens, fewer than one "
                f"sequence of {run.shape.context}; add sources, or set a smaller "
                "spec.model.context",
                FailureClass.USER,
            )
    return datasets


def _open(source: WeightedInput, run: PretrainRun) -> Dataset:
    folder = storage.open_input(source, *_USED, check_here=False)
    facts: dict[str, Any] = read_manifest(folder)[0].facts
    vocabulary, tokenizer = facts.get("vocabulary"), facts.get("tokenizerDigest")
    if not isinstance(vocabulary, int) or not isinstance(tokenizer, str):
        raise PodFailure(
            "DatasetInvalid",
            f"the manifest of Dataset {source.name} does not say vocabulary and tokenizerDigest; "
            "make it again with a new spec.revision",
            FailureClass.DATA,
        )
    if vocabulary > run.shape.vocabulary:
        raise PodFailure(
            "VocabularyMismatch",
            f"Dataset {source.name} has {vocabulary} different tokens, but the model is planned for"
            f" {run.shape.vocabulary}; start a new run with a new spec.revision",
            FailureClass.USER,
        )
    train, validation = (Split(folder / part, vocabulary) for part in ("train", "validation"))
    return Dataset(folder, tokenizer, train, validation)


def _windows(split: Split, context: int) -> int:
    return max(0, (len(split) - 1) // context)


class TrainingData:
    """The training sequences of a run, by number."""

    def __init__(self, run: PretrainRun, datasets: Sequence[Dataset]) -> None:
        self._splits = [dataset.train for dataset in datasets]
        self._context = run.shape.context
        self._order = Order(
            [_windows(split, self._context) for split in self._splits],
            [source.weight for source in run.datasets],
            run.hyperparameters.seed,
        )

    def read(self, numbers: Sequence[int]) -> Tokens:
        """Those samples of the run: int64 tokens, [samples, context + 1]."""
        samples = [self._order[number] for number in numbers]
        context = self._context
        return np.stack(
            [self._splits[s.dataset].read(s.sequence * context, context + 1) for s in samples]
        )


class ValidationData:
    """The held-out sequences of all Datasets: all, or `VALIDATION_TOKENS` spread evenly over them."""

    def __init__(self, context: int, datasets: Sequence[Dataset]) -> None:
        self._context = context
        self._places = [
            (dataset.validation, index)
            for dataset in datasets
            for index in range(_windows(dataset.validation, context))
        ]
        most = max(1, VALIDATION_TOKENS // context)
        if len(self._places) > most:
            self._places = [self._places[i * len(self._places) // most] for i in range(most)]

    def __len__(self) -> int:
        """Sequences."""
        return len(self._places)

    def read(self, numbers: Sequence[int]) -> Tokens:
        """Those sequences: int64 tokens, [sequences, context + 1]."""
        places = [self._places[number] for number in numbers]
        context = self._context
        return np.stack([split.read(index * context, context + 1) for split, index in places])

    def unigram_entropy(self) -> float | None:
        """Entropy of the targets under their own frequencies, nats per token; None without any.

        What a model that knows nothing but how often each token occurs would reach.
        """
        counts: Counter[int] = Counter()
        for number in range(len(self)):
            counts.update(self.read([number])[0, 1:].tolist())
        if not counts:
            return None
        shares = np.sort(np.array(list(counts.values()), dtype=np.float64)) / counts.total()
        return float(-(shares * np.log(shares)).sum())
