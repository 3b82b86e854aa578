"""What is known of the resources that one refers to, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cupola_api.common import ModelReference
from cupola_api.dataset import Dataset, DatasetStatus, DatasetSummary
from cupola_api.pretrainjob import PretrainJobSpec
from cupola_api.run import Shape
from cupola_operator.cluster import Key
from cupola_operator.plan import shape
from cupola_operator.plan.answers.loss import Own
from cupola_operator.resources import Reference, origin

USUAL_VOCABULARY = 32_000
"""Taken where a Dataset is not at hand; what a tokenizer has by default."""


@dataclass(frozen=True)
class Known:
    """Resources at hand: from files, and with their status where they were run."""

    references: Mapping[Key, Reference]
    law: Own | None = None
    """The scaling law that was fitted to one's own data."""

    def summary(self, name: str, namespace: str) -> DatasetSummary | None:
        """The counts of a finished Dataset."""
        found = self.references.get(Key("Dataset", namespace, name))
        status = found.status if found and found.ready else None
        return status.summary if isinstance(status, DatasetStatus) else None

    def counted(self, name: str, namespace: str) -> DatasetSummary | None:
        """The counts of a Dataset's last finished run, also where its spec has changed since."""
        found = self.references.get(Key("Dataset", namespace, name))
        status = found.status if found else None
        return status.summary if isinstance(status, DatasetStatus) else None

    def vocabulary(self, name: str, namespace: str) -> int | None:
        """Entries of a Dataset's tokenizer: counted, or as its spec asks for."""
        seen: set[str] = set()
        while name not in seen:
            seen.add(name)
            if summary := self.summary(name, namespace):
                return summary.vocabulary
            found = self.references.get(Key("Dataset", namespace, name))
            if found is None or not isinstance(found.resource, Dataset):
                return None
            choice = found.resource.spec.tokenizer
            if choice.train:
                return choice.train.vocab_size
            name = choice.dataset or name
        return None

    def shape_of(self, spec: PretrainJobSpec, namespace: str) -> tuple[Shape, bool]:
        """The model of a PretrainJob, and whether its vocabulary is known. Refuses an odd size."""
        known = self.vocabulary(spec.datasets[0].name, namespace)
        form = shape.of_spec(spec.model, vocabulary=known or USUAL_VOCABULARY)
        return form, known is not None

    def base_of(self, base: ModelReference, namespace: str) -> Shape | None:
        """The model that a FineTune or an Evaluation goes back to, if that is at hand."""
        first, _ = origin(base, namespace, self.references)
        return self.shape_of(first.spec, namespace)[0] if first else None
