"""Policies: what a resource refers to is there, is finished, and fits together.

They speak until the run is resolved; from then on the run stands for what it refers to.
"""

from __future__ import annotations

from cupola_api.common import Phase
from cupola_api.dataset import Dataset, DatasetStatus
from cupola_api.evaluation import Evaluation
from cupola_api.finetune import FineTune
from cupola_api.run import GenerateRun
from cupola_operator.build.run import model_summary
from cupola_operator.build.synthetic import synthetic
from cupola_operator.cluster import Key
from cupola_operator.decide.resolve import GENERATION
from cupola_operator.decide.verdict import Verdict, stalled
from cupola_operator.resources import Reference, refers_to
from cupola_operator.world import World


def circular(world: World) -> Verdict | None:
    """A resource that goes back to itself can never start: Stalled, RefersToItself."""
    if not _open(world) or world.key not in world.references:
        return None
    return stalled(
        "RefersToItself",
        f"{world.key.kind} {world.key.name} refers to itself, so it can never start; refer to "
        "another one",
    )


def waiting(world: World) -> Verdict | None:
    """What a resource refers to must be finished: until then it is Waiting, and says for what.

    Reason WaitingForDataset, WaitingForPretrainJob or WaitingForFineTune. The resources may be
    applied in any order: one that does not exist yet is waited for, and one that failed may be
    repaired. The change of it wakes the one that waits.
    """
    if not _open(world):
        return None
    taken = _taken(world)
    missing = [one for one in _direct(world) if not one.ready and one.key not in taken]
    if not missing:
        return None
    return Verdict(
        Phase.WAITING,
        f"WaitingFor{missing[0].key.kind}",
        "; ".join(_state(reference) for reference in missing),
    )


def dataset_without_task(world: World) -> Verdict | None:
    """Prompts and answers come from a Dataset with spec.task: DatasetHasNoTask (Stalled) if not.

    A FineTune's dataset needs one, and that of an Evaluation's pythonFunction task.
    """
    if not _open(world):
        return None
    names: dict[str, str] = {}
    match world.resource:
        case FineTune(spec=tuning):
            names[tuning.dataset] = "spec.dataset"
        case Evaluation(spec=measure):
            for i, task in enumerate(measure.tasks):
                if task.python_function:
                    path = f"spec.tasks[{i}].pythonFunction.dataset"
                    names.setdefault(task.python_function.dataset, path)
    for name, path in names.items():
        data = world.references[Key("Dataset", world.key.namespace, name)].resource
        if data and data.spec.task is None:
            return stalled(
                "DatasetHasNoTask",
                f"{path}: Dataset {name} has no prompts and answers; add task: {{input, output}} "
                "to its spec, or name one that has it",
            )
    return None


def tokenizers_differ(world: World) -> Verdict | None:
    """What is trained, tuned or measured together has one tokenizer: TokenizerMismatch (Stalled) if not.

    Token ids mean nothing to a model that was made with another tokenizer.
    """
    if not _open(world):
        return None
    first: tuple[Key, str] | None = None
    for reference in _direct(world):
        digest = _tokenizer(reference)
        if digest is None:
            continue
        if first and first[1] != digest:
            one, other = first[0], reference.key
            return stalled(
                "TokenizerMismatch",
                f"{one.kind} {one.name} and {other.kind} {other.name} have different tokenizers; "
                f"give the Datasets the same one (spec.tokenizer: {{dataset: NAME}}) and make "
                "again what was made with the other",
            )
        first = first or (reference.key, digest)
    return None


def _open(world: World) -> bool:
    """Whether the run, of a Dataset its curation or what a model writes for it, is to be resolved."""
    writes = synthetic(world) is not None and not world.is_resolved(GENERATION)
    return writes or not world.is_resolved()


def _taken(world: World) -> set[Key]:
    """What a model that writes for a Dataset has taken already: the run of that stands for it."""
    resolved = world.resolved(GENERATION)
    if resolved is None or not isinstance(resolved.run, GenerateRun):
        return set()
    inputs = (resolved.run.model, resolved.run.seeds.dataset)
    taken = {Key(one.kind, world.key.namespace, one.name) for one in inputs if one}
    tokenizer = world.resource_as(Dataset).spec.tokenizer.dataset
    return taken - {Key("Dataset", world.key.namespace, tokenizer or "")}


def _direct(world: World) -> list[Reference]:
    return [world.references[key] for key in refers_to(world.resource)] if world.resource else []


def _tokenizer(reference: Reference) -> str | None:
    if isinstance(reference.status, DatasetStatus):
        return reference.status.summary.tokenizer_digest if reference.status.summary else None
    model = model_summary(reference)
    return model.tokenizer_digest if model else None


def _state(reference: Reference) -> str:
    what = f"{reference.key.kind} {reference.key.name}"
    if reference.resource is None:
        return f"{what} {reference.problem}"
    if reference.status.phase is Phase.FAILED:
        ready = reference.status.condition("Ready")
        return f"{what} failed ({ready.reason if ready else 'Failed'}); repair it first"
    if reference.status.phase is Phase.SUCCEEDED:
        return f"{what} is about to run revision {reference.resource.spec.revision}"
    return f"{what} is not finished yet ({reference.status.phase.value})"
