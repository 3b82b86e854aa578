"""The tokens of a run: its Datasets opened, checked, and cut into sequences.

Sequence `i` of a split is tokens `i * context` to `(i + 1) * context + 1`, its last token being the
first of the next one: as inputs and targets every token is used exactly once.

Tokens are checked as they are read, so that a run need not read a large Dataset before it starts. Of
what lies in S3 the window in use is kept on this machine, and the next one is brought
meanwhile; a Dataset that fits its share of `ROOM` is brought once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cupola_api.artifact import ArtifactInvalid
from cupola_api.outcome import FailureClass
from cupola_api.part import read_facts
from cupola_api.run import ORDER, PretrainRun, WeightedInput
from cupola_api.training import Attention
from cupola_trainer import storage
from cupola_trainer.curate.tokenizer import end_id, load
from cupola_trainer.pod import PodFailure
from cupola_trainer.pretrain.order import BLOCK_TOKENS, WINDOW, Order, Samples
from cupola_trainer.shards import INDEX
from cupola_trainer.stream import Stream

VALIDATION_TOKENS = 2_000_000
"""Most tokens that the loss at the end is measured on."""
ROOM = 8 << 30
"""Bytes below TMPDIR for the tokens of all Datasets in S3; each has room for three windows at least."""
_WINDOWS = 3 * WINDOW * BLOCK_TOKENS * 4 * 2
"""Bytes of three windows with the longest tokens, and as much for what pieces hold of other blocks."""
OPENED = 384
"""Pieces that a rank maps at a time, at most; each takes a file descriptor."""

_USED = ("tokenizer/", f"train/{INDEX}", f"validation/{INDEX}")
_AT_ONCE = 4096
"""Samples whose places are computed together: one by one it takes fifty times as long."""

Tokens = npt.NDArray[np.int64]


class Dataset(NamedTuple):
    """An opened Dataset."""

    source: WeightedInput
    folder: Path
    """Where its tokenizer is."""
    tokenizer: str
    """Digest of its tokenizer."""
    train: Stream
    validation: Stream


def check(run: PretrainRun, *, main: bool = True) -> None:
    """Check the manifest, the tokenizer and the indexes of every Dataset against its digest.

    What is used in place is checked by rank 0, `main`; what lies in S3 is brought to each machine.
    Raises PodFailure or OSError.
    """
    if run.order != ORDER:
        raise PodFailure(
            "OrderChanged",
            f"this run was planned when samples came in another order (order {run.order}, now "
            f"{ORDER}); start a new one with a new spec.revision",
            FailureClass.USER,
        )
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
    facts = read_facts(folder)
    vocabulary, tokenizer = facts.get("vocabulary"), facts.get("tokenizerDigest")
    if not isinstance(vocabulary, int) or not isinstance(tokenizer, str):
        raise PodFailure(
            "DatasetInvalid",
            f"the manifest of Dataset {source.name} does not say vocabulary and tokenizerDigest; "
            "make it again with a new spec.revision",
            FailureClass.DATA,
        )
    if not all((folder / split / INDEX).is_file() for split in ("train", "validation")):
        raise PodFailure(
            "DatasetInvalid",
            f"Dataset {source.name} has no index of its tokens; make it again with a new "
            "spec.revision",
            FailureClass.DATA,
        )
    if vocabulary > run.shape.vocabulary:
        raise PodFailure(
            "VocabularyMismatch",
            f"Dataset {source.name} has {vocabulary} different tokens, but the model is planned for"
            f" {run.shape.vocabulary}; start a new run with a new spec.revision",
            FailureClass.USER,
        )
    place = storage.place_of(source.uri)
    train, validation = (
        Stream(
            place / split,
            folder / split / INDEX,
            vocabulary,
            room=max(ROOM // len(run.datasets), _WINDOWS),
            opened=OPENED // len(run.datasets),
        )
        for split in ("train", "validation")
    )
    return Dataset(source, folder, tokenizer, train, validation)


def end_token(run: PretrainRun, dataset: Dataset) -> int | None:
    """The token that parts documents for the model of a run; None where attention crosses them.

    Raises PodFailure if the Dataset's tokenizer has none.
    """
    if run.attention is Attention.ACROSS_DOCUMENTS:
        return None
    return end_id(load(dataset.folder / "tokenizer"))


@contextmanager
def _intact(source: WeightedInput) -> Iterator[None]:
    """Around reading a Dataset's tokens. Raises PodFailure if they are not what they should be."""
    try:
        yield
    except ArtifactInvalid as error:
        raise storage.input_invalid(source, error) from error


def _sequences(split: Stream, context: int) -> int:
    return max(0, (len(split) - 1) // context)


class TrainingData:
    """The training sequences of a run, by number."""

    def __init__(self, run: PretrainRun, datasets: Sequence[Dataset]) -> None:
        self._datasets = datasets
        self._context = run.shape.context
        self._order = Order(
            [_sequences(dataset.train, self._context) for dataset in datasets],
            [source.weight for source in run.datasets],
            run.hyperparameters.seed,
            block=max(1, BLOCK_TOKENS // self._context),
        )
        self._places: dict[int, Samples] = {}
        self._brought: dict[int, tuple[int, int]] = {}

    def read(self, numbers: Sequence[int]) -> Tokens:
        """Those samples of the run: int64 tokens, [samples, context + 1].

        Raises PodFailure if they are not as they were made, or OSError.
        """
        samples = self._samples(np.asarray(numbers, np.int64))
        found = np.empty((len(numbers), self._context + 1), np.int64)
        for number in np.unique(samples.dataset).tolist():
            mine = np.flatnonzero(samples.dataset == number)
            dataset = self._datasets[number]
            with _intact(dataset.source):
                self._look_ahead(
                    number, int(samples.epoch[mine[-1]]), int(samples.window[mine[-1]])
                )
                found[mine] = dataset.train.read(
                    samples.sequence[mine] * self._context, self._context + 1
                )
        return found

    def _samples(self, numbers: Tokens) -> Samples:
        """Where samples are, computed for many and kept for the next step."""
        found = Samples(*(np.empty_like(numbers) for _ in Samples._fields))
        for many in np.unique(numbers // _AT_ONCE).tolist():
            if many not in self._places:
                while len(self._places) >= 4:
                    self._places.pop(next(iter(self._places)))
                every = np.arange(many * _AT_ONCE, (many + 1) * _AT_ONCE)
                self._places[many] = self._order.samples(every)
            mine = np.flatnonzero(numbers // _AT_ONCE == many)
            for to, values in zip(found, self._places[many], strict=True):
                to[mine] = values[numbers[mine] % _AT_ONCE]
        return found

    def _look_ahead(self, number: int, epoch: int, window: int) -> None:
        """Have the window in use and the next one brought, when a dataset comes to a new one."""
        if self._brought.get(number) == (epoch, window):
            return
        self._brought[number] = (epoch, window)
        total = len(self._datasets[number].train)
        ranges = (
            np.minimum(self._order.blocks_of(number, epoch, one) * self._context + [0, 1], total)
            for one in (window, window + 1)
        )
        self._datasets[number].train.bring(*ranges)


class ValidationData:
    """The held-out sequences of all Datasets.

    All of them, or the first of each in proportion, `VALIDATION_TOKENS` together: documents lie in
    shuffled order.
    """

    def __init__(self, context: int, datasets: Sequence[Dataset]) -> None:
        self._context = context
        self._datasets = datasets
        there = [_sequences(dataset.validation, context) for dataset in datasets]
        most = max(1, VALIDATION_TOKENS // context)
        whole = max(most, sum(there))
        self._ends = np.cumsum([0, *(-(-count * most // whole) for count in there)])

    def __len__(self) -> int:
        """Sequences."""
        return int(self._ends[-1])

    def read(self, numbers: Sequence[int]) -> Tokens:
        """Those sequences: int64 tokens, [sequences, context + 1].

        Raises PodFailure if they are not as they were made, or OSError.
        """
        owners = (np.searchsorted(self._ends, numbers, "right") - 1).tolist()
        found = []
        for number, owner in zip(numbers, owners, strict=True):
            dataset = self._datasets[owner]
            start = np.array([(number - self._ends[owner]) * self._context])
            with _intact(dataset.source):
                found.append(dataset.validation.read(start, self._context + 1))
        return np.concatenate(found)

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
