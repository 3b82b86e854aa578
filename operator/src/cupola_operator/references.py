"""What a resource refers to, and where in its YAML it says so."""

from __future__ import annotations

from cupola_api.common import ModelReference, Resource
from cupola_api.dataset import Dataset, DatasetSpec
from cupola_api.evaluation import Evaluation, EvaluationSpec
from cupola_api.finetune import FineTune
from cupola_api.pretrainjob import PretrainJob
from cupola_operator.cluster import Key


def references(resource: Resource) -> list[tuple[str, Key]]:
    """(field path, what it names) of every reference, in the order of the spec."""
    found: list[tuple[str, str, str]] = []
    match resource:
        case Dataset(spec=data):
            if data.tokenizer.dataset:
                found.append(("spec.tokenizer.dataset", "Dataset", data.tokenizer.dataset))
            found += _of_synthetic(data)
        case PretrainJob(spec=training):
            for i, share in enumerate(training.datasets):
                found.append((f"spec.datasets[{i}].name", "Dataset", share.name))
        case FineTune(spec=tuning):
            found.append(_model("spec.base", tuning.base))
            found.append(("spec.dataset", "Dataset", tuning.dataset))
        case Evaluation(spec=measure):
            found += _measured(measure)
    namespace = resource.metadata.namespace
    return [(path, Key(kind, namespace, name)) for path, kind, name in found]


def _of_synthetic(spec: DatasetSpec) -> list[tuple[str, str, str]]:
    """The references of a Dataset's synthetic source."""
    found = []
    for i, source in enumerate(spec.sources):
        if asked := source.synthetic:
            path = f"spec.sources[{i}].synthetic"
            if asked.model.reference:
                found.append(_model(f"{path}.model", asked.model.reference))
            if asked.seeds.dataset:
                found.append((f"{path}.seeds.dataset", "Dataset", asked.seeds.dataset))
    return found


def _measured(spec: EvaluationSpec) -> list[tuple[str, str, str]]:
    """The references of an Evaluation."""
    found = [_model("spec.model", spec.model)]
    if spec.compare_to:
        found.append(_model("spec.compareTo", spec.compare_to))
    for i, task in enumerate(spec.tasks):
        if task.perplexity:
            path = f"spec.tasks[{i}].perplexity.dataset"
            found.append((path, "Dataset", task.perplexity.dataset))
        if task.python_function:
            path = f"spec.tasks[{i}].pythonFunction.dataset"
            found.append((path, "Dataset", task.python_function.dataset))
    return found


def _model(path: str, reference: ModelReference) -> tuple[str, str, str]:
    field = "pretrainJob" if reference.pretrain_job else "fineTune"
    return f"{path}.{field}", reference.kind, reference.name
