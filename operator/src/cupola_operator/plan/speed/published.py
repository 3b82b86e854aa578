"""Published trainings: what the planner says of them, and what their authors reported.

Of each run only what was published is known; where its layout is not, the planner's is taken, and
where the number of devices is not, a usual one. Whether a run computed its activations again is a
habit of its time and software that the planner cannot know: where nobody says it, it is as likely
as other families have it, and the range covers both. Each run is predicted with the friction that
the runs of all other families show; `published_page` prints it.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from statistics import fmean
from typing import Any

from cupola_operator.plan import Refused
from cupola_operator.plan.anatomy import families, flops, parameters
from cupola_operator.plan.anatomy.activations import Attention
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money import bill
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.calibration import Fit, Ratio, fit
from cupola_operator.plan.speed.hardware import Machine
from cupola_operator.plan.speed.search import Found, Question, best

_HOUR = 3600.0
_CHECKPOINT_BYTES = 12
_MOST_GPUS = 2048
"""Of a run that does not say how many it took: a power of two, a sequence each at least."""

_FAMILIES = (
    ("Llama", "llama"),
    ("Mistral", "llama"),
    ("DeepSeek", "llama"),
    ("Yi", "llama"),
    ("TinyLlama", "llama"),
    ("Qwen", "qwen2"),
    ("OLMo", "olmo"),
    ("BLOOM", "bloom"),
    ("GPT-NeoX", "gpt-neox"),
    ("Pythia", "gpt-neox"),
    ("MPT", "mpt"),
    ("OPT", "opt"),
    ("Falcon", "falcon-40b"),
    ("StarCoder", "starcoder2"),
    ("GPT", "gpt2"),
    ("MT-NLG", "gpt2"),
    ("Megatron", "gpt2"),
)
"""What the name of a model begins with, and the conventions of its family."""


@dataclass(frozen=True)
class Run:
    """A training that was published."""

    name: str
    model: Model
    tokens: float
    batch: int
    """Sequences a step."""
    attention: Attention
    gpu: str
    gpus: int
    assumed_gpus: bool
    fixed: dict[str, Any]
    """What is known of its layout."""
    hours: float
    """Device hours that its authors reported."""
    source: str

    @property
    def family(self) -> str:
        """Runs of one family share software or cluster, and are left out together."""
        name = re.split(r"[-\d]", self.name.removeprefix("GPT-"), maxsplit=1)[0]
        return "GPT-NeoX" if name in {"NeoX", "Pythia", "StableLM"} else name


@dataclass(frozen=True)
class Frictionless:
    """What the model of step time makes of a run, before what is fitted."""

    run: Run
    found: Found
    """The planner's layout, as far as none is known."""
    machine: Machine
    hours: float
    """Device hours with its interruptions, if steps took no longer than they must."""
    again: float
    """Hours if all activations were computed again, over these; 1 where it is known."""
    ideal: float
    """Device hours at the peak of the device: what a constant MFU divides."""

    def expected(self, share: float) -> float:
        """Hours, as the geometric mean where a share of runs like it computes all again."""
        return float(self.hours * self.again**share)

    def unknown(self, share: float) -> float:
        """Standard deviation of their logarithm for what is not known of the layout."""
        return math.sqrt(share * (1 - share)) * math.log(self.again)


GIVEN = "published-runs.csv"
"""The runs that the model of step time is held to."""

MORE = "more-runs.csv"
"""Others, to see whether it holds for them too."""


def runs(*names: str, documented: bool = True) -> list[Run]:
    """Those of the files of that name; of both by default.

    `documented`: with the layouts that public configurations tell beside what the files do.
    """
    layouts = {row["model"]: row["parallelism"] for row in rows("published-layouts.csv")}
    table = [row for name in names or (GIVEN, MORE) for row in rows(name)]
    return read(table, layouts if documented else None)


def rows(name: str) -> list[dict[str, str]]:
    """The rows of a data file of the catalogue."""
    text = resources.files(catalogue).joinpath(name).read_text()
    return list(csv.DictReader(text.splitlines()))


def read(table: Iterable[dict[str, str]], layouts: Mapping[str, str] | None = None) -> list[Run]:
    """Runs of rows with the columns of published-runs.csv; `layouts` by model counts more than these."""
    known = layouts or {}
    return [_run(row, known.get(row["model"], row["parallelism"])) for row in table]


def _run(row: dict[str, str], layout: str) -> Run:
    model = _model(row)
    batch = max(1, round(float(row["batch_tokens"]) / model.context))
    gpus = int(row["gpus"] or 0)
    return Run(
        name=row["model"],
        model=model,
        tokens=float(row["tokens"]),
        batch=batch,
        attention="Eager" if "eager attention" in layout else "Flash",
        gpu=row["gpu"],
        gpus=gpus or min(_MOST_GPUS, 1 << (batch.bit_length() - 1)),
        assumed_gpus=not gpus,
        fixed=_layout(layout),
        hours=float(row["gpu_hours"]),
        source=row["source"],
    )


def _model(row: dict[str, str]) -> Model:
    """The model of a row, of the family of its name, or of the one whose parameters come nearest."""
    sizes: dict[str, Any] = {
        "layers": int(row["layers"]),
        "hidden": int(row["hidden"]),
        "heads": int(row["heads"]),
        "kv_heads": int(row["kv_heads"]),
        "ffn": int(row["ffn"]),
        "vocabulary": int(row["vocab"]),
        "context": int(row["context"]),
    }
    for beginning, family in _FAMILIES:
        if row["model"].startswith(beginning):
            return families.of(family, **sizes)
    stated = float(row["parameters"])
    return min(
        (families.of(family, **sizes) for family in ("llama", "gpt2", "gpt-neox", "gemma")),
        key=lambda model: abs(parameters.count(model).total - stated),
    )


_DEGREES = {"DP": "data", "TP": "tensor", "PP": "pipeline", "SP": "sequence", "CP": "sequence"}


def _layout(text: str) -> dict[str, Any]:
    """`DP8 TP4 PP12 full recompute` -> fields of Layout that are decided."""
    fixed: dict[str, Any] = {
        _DEGREES[kind]: int(number) for kind, number in re.findall(r"\b(DP|TP|PP|SP|CP)(\d+)", text)
    }
    if "FSDP" in text:
        fixed |= {"zero": 3, "tensor": 1, "pipeline": 1}
    if stage := re.search(r"ZeRO-?(\d)", text):
        fixed["zero"] = int(stage[1])
    if micro := re.search(r"\bMBS(\d+)", text):
        fixed["micro_batch"] = int(micro[1])
    if again := re.search(r"(no|selective|full) recompute", text):
        fixed["checkpointing"] = {"no": "None"}.get(again[1], again[1].capitalize())
    return fixed


def frictionless(run: Run) -> Frictionless:
    """A run as the model of step time has it, on the typical node of its GPU."""
    machine = catalogue.typical(run.gpu).of(run.gpus)
    question = Question(
        run.model, machine, run.batch, run.gpus, attention=run.attention, fixed=run.fixed
    )
    found = _found(question)
    hours, again = _hours(run, machine, found), 1.0
    if "checkpointing" not in run.fixed:
        fixed = run.fixed | {"checkpointing": "Full"}
        slower = _found(dataclasses.replace(question, fixed=fixed))
        again = max(1.0, _hours(run, machine, slower) / hours)
    work = flops.training(run.model).total * run.tokens / run.model.context
    return Frictionless(
        run=run,
        found=found,
        machine=machine,
        hours=hours,
        again=again,
        ideal=work / machine.gpu.flops("BF16") / _HOUR,
    )


def _hours(run: Run, machine: Machine, found: Found) -> float:
    """Device hours of a run in that layout, with its interruptions."""
    steps = run.tokens / (found.layout.global_batch * run.model.context)
    total = bill.of_training(
        Estimate.exactly(found.step.total * steps),
        machine,
        run.gpus,
        checkpoint_bytes=_CHECKPOINT_BYTES * parameters.count(run.model).total,
        interval=None,
    )
    return total.device_hours.expected


def _found(question: Question) -> Found:
    """The best layout of those that are not ruled out.

    One that is known to have run did fit, in software that may keep less than Cupola's.
    """
    try:
        return best(question)
    except Refused as refused:
        if refused.reason != "NothingFits":
            raise
        gpu = dataclasses.replace(question.machine.gpu, memory=1 << 60)
        machine = dataclasses.replace(question.machine, gpu=gpu)
        return best(dataclasses.replace(question, machine=machine))


@dataclass(frozen=True)
class Line:
    """A run, predicted from the runs of other families."""

    of: Frictionless
    predicted: Estimate
    constant: Estimate
    """What a constant MFU says, fitted in the same way."""

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.predicted.expected / self.of.run.hours - 1

    @property
    def constant_error(self) -> float:
        """Of the constant MFU's."""
        return self.constant.expected / self.of.run.hours - 1

    @property
    def held(self) -> bool:
        """Whether the reported hours are in the range."""
        return self.predicted.low <= self.of.run.hours <= self.predicted.high

    @property
    def width(self) -> float:
        """High over low."""
        return self.predicted.high / self.predicted.low


def leave_one_family_out(
    found: Sequence[Frictionless], fitted_to: Sequence[Frictionless] | None = None
) -> list[Line]:
    """Each run predicted with what is fitted to the runs of all other families.

    `fitted_to`: runs to fit to, if not the same ones.
    """
    lines = []
    for one in found:
        others = [other for other in fitted_to or found if other.run.family != one.run.family]
        share, slowness = recomputing(others), of_constant(others)
        friction = of(others, share).with_unknown(one.unknown(share))
        predicted = friction * one.expected(share)
        lines.append(Line(one, predicted, slowness.range * one.ideal))
    return lines


def recomputing(found: Iterable[Frictionless]) -> float:
    """How likely a run computes all activations again: the share of families that do.

    Of those that say it, by Laplace's rule of succession.
    """
    habits: dict[str, list[bool]] = defaultdict(list)
    for run in (one.run for one in found):
        if "checkpointing" in run.fixed:
            habits[run.family].append(run.fixed["checkpointing"] == "Full")
    return (sum(map(fmean, habits.values())) + 1) / (len(habits) + 2)


def of(found: Sequence[Frictionless], share: float) -> Fit:
    """The friction that runs show, if such a share of those that do not say it recompute."""
    return fit(
        [
            Ratio(one.run.family, one.run.hours / one.expected(share), one.unknown(share))
            for one in found
        ]
    )


def of_constant(found: Iterable[Frictionless]) -> Fit:
    """The inverse of the one MFU that suits runs best."""
    return fit([Ratio(one.run.family, one.run.hours / one.ideal) for one in found])
