"""A work directory as `cupola run` leaves it, made by hand: four resources, one attempt failed."""

from __future__ import annotations

import json
import math
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from cupola_api import API_VERSION
from cupola_api.artifact import seal
from cupola_api.common import Artifact, Lineage
from cupola_api.kinds import KINDS, parse
from cupola_api.run import CurateRun, EvaluateRun, FineTuneRun, PretrainRun, dump
from cupola_operator import names
from cupola_operator.children import DIGEST, PLACEMENT, RUN_FILE, Placement
from cupola_operator.settings import Device, Pool

UID = "3f2c9b1e-0000-4000-8000-000000000000"
POOL = Pool(
    name="laptop",
    device=Device.CPU,
    gpus_per_node=2,
    price_per_gpu_hour="0.05",
    gpu_watts=15,
    host_watts=20,
)
SPECS: dict[str, tuple[str, dict[str, Any]]] = {
    "Dataset": (
        "python-functions",
        {
            "sources": [{"name": "stdlib", "uri": "store:///python-functions", "format": "Jsonl"}],
            "curation": {"quality": {"rules": "Code"}, "pii": {}, "dedup": {}},
            "tokenizer": {"train": {"vocabSize": 4096}},
            "task": {"input": "description", "output": "code"},
            "validation": 0.05,
        },
    ),
    "PretrainJob": (
        "python-base",
        {
            "datasets": [{"name": "python-functions"}],
            "model": {"size": "2M", "context": 256},
            "tokens": "2M",
        },
    ),
    "FineTune": (
        "python-writer",
        {"base": {"pretrainJob": "python-base"}, "dataset": "python-functions"},
    ),
    "Evaluation": (
        "python-exam",
        {
            "model": {"fineTune": "python-writer"},
            "compareTo": {"pretrainJob": "python-base"},
            "tasks": [
                {"name": "answers", "perplexity": {"dataset": "python-functions"}},
                {"name": "functions", "pythonFunction": {"dataset": "python-functions"}},
                {"name": "mmlu-dev", "harness": {"task": "mmlu_dev", "data": "store:///mmlu"}},
            ],
            "thresholds": [{"task": "answers", "metric": "perplexity", "maxDrop": 0}],
        },
    ),
}
SCORES = [
    {"task": "answers", "metric": "perplexity", "value": 8.134, "standardError": 0.31, "chance": 4096,
     "comparedTo": 31.72, "comparedStandardError": 1.4, "higherIsBetter": False, "samples": 612},
    {"task": "functions", "metric": "valid", "value": 0.59375, "standardError": 0.0614, "chance": 0,
     "comparedTo": 0.03125, "comparedStandardError": 0.0217, "samples": 64},
    {"task": "mmlu-dev", "metric": "acc", "value": 0.2632, "standardError": 0.0261, "chance": 0.25,
     "comparedTo": 0.2456, "comparedStandardError": 0.0255, "samples": 285},
]  # fmt: skip
SAMPLES = [
    {"task": "functions", "model": "python-writer", "prompt": "Return the larger of two numbers.",
     "answer": "def larger(a, b):\n    return a if a > b else b\n", "ended": True, "verdict": "Function"},
    {"task": "functions", "model": "python-base", "prompt": "Return the larger of two numbers.",
     "answer": "</code></pre><script>alert('model')</script>\n    self._x = 1\n    self._x", "ended": False,
     "verdict": "NotEnded"},
    {"task": "mmlu-dev", "model": "python-writer", "prompt": "What is 2 + 2?\nA. 3\nB. 4\nAnswer:",
     "answers": [" A", " B"], "responses": ["(-3.1, False)", "(-2.9, True)"], "target": "1", "acc": 1.0},
]  # fmt: skip
TIMES = [f"2026-11-22T10:{m:02d}:{s:02d}Z" for m in range(10) for s in range(60)]


class Maker:
    """Writes the objects and files of a work directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.artifacts: dict[str, tuple[str, Artifact]] = {}

    def object(self, value: dict[str, Any]) -> None:
        metadata = {"namespace": "default", "uid": UID, "resourceVersion": "7"} | value["metadata"]
        path = self.folder / "objects" / value["kind"] / metadata["namespace"]
        path.mkdir(parents=True, exist_ok=True)
        text = yaml.dump(value | {"metadata": metadata}, Dumper=yaml.CSafeDumper, sort_keys=False)
        (path / f"{metadata['name']}.yaml").write_text(text)

    def resource(self, kind: str, status: dict[str, Any] | None, **metadata: Any) -> None:
        name, spec = SPECS[kind]
        about = {"name": name, "generation": 1, "creationTimestamp": TIMES[0]} | metadata
        value = {"apiVersion": API_VERSION, "kind": kind, "metadata": about, "spec": spec}
        self.object(value | ({"status": status} if status else {}))

    def run(self, kind: str, run: Any) -> None:
        placement = Placement(pool=POOL, currency="USD", image="cupola-trainer")
        notes = {DIGEST: run.digest, PLACEMENT: placement.model_dump_json(by_alias=True)}
        name = names.config_map(kind, run.name, 1)
        self.object(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "annotations": notes},
                "data": {RUN_FILE: dump(run)},
            }
        )

    def artifact(self, kind: str, run: Any, attempt: int, **texts: str) -> dict[str, Any]:
        """Seal the artifact of a run; returns the part of status that speaks of it."""
        place = Path(run.folder.removeprefix("file://"))
        place = (
            place / "artifact"
            if kind == "Dataset"
            else place / f"a{attempt}-{UID[:8]}" / "artifact"
        )
        place.mkdir(parents=True)
        for name, text in {"data.bin": kind, **texts}.items():
            (place / name.replace("__", ".")).write_text(text)
        inputs = [
            Lineage(kind=k, name=SPECS[k][0], digest=made.digest)
            for k, (_, made) in self.artifacts.items()
        ]
        made = seal(place, kind="Model", run=run.digest, inputs=inputs)
        self.artifacts[kind] = (run.digest, made)
        return {
            "phase": "Succeeded",
            "observedGeneration": 1,
            "conditions": [condition("Ready", "True", "Succeeded", "It is finished.")],
            "run": {"revision": 1, "digest": run.digest},
            "progress": {"fraction": 1.0},
            "artifact": made.to_json(),
            "lineage": [entry.to_json() for entry in inputs],
        }

    def input(self, kind: str) -> dict[str, Any]:
        made = self.artifacts[kind][1]
        return {"kind": kind, "name": SPECS[kind][0], "uri": made.uri, "digest": made.digest}

    def history(self, run: Any, attempt: int, first: int, last: int, *, torn: bool = False) -> None:
        place = Path(run.folder.removeprefix("file://")) / f"a{attempt}-{UID[:8]}"
        place.mkdir(parents=True, exist_ok=True)
        noise = random.Random(attempt)
        text = ""
        for step in range(first, last + 1):
            loss = 2.6 + 5.7 * math.exp(-step / 90) + noise.gauss(0, 0.06)
            rate = 3e-3 * min(step / 15, 0.5 + 0.5 * math.cos(math.pi * step / 488))
            line = {"step": step, "loss": loss, "lr": rate, "grad_norm": abs(noise.gauss(1.1, 0.3)),
                    "tokens": step * 4096, "tokens_per_second": noise.gauss(21_000, 800), "time": 1.0}  # fmt: skip
            text += json.dumps(line) + "\n"
        (place / "history.jsonl").write_text(text + ('{"step": 999, "lo' if torn else ""))

    def events(self, *events: dict[str, Any]) -> None:
        lines = [json.dumps(event) + "\n" for event in events]
        (self.folder / "events.jsonl").write_text("".join(lines))

    def log(self, pod: str, text: str) -> None:
        path = self.folder / "logs" / "default" / f"{pod}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": TIMES[300],
    }


def attempt(number: int, name: str, start: int, end: int, **fields: Any) -> dict[str, Any]:
    """An attempt on two devices from second `start` to second `end`."""
    seconds = 2 * (end - start)
    made = {
        "number": number,
        "name": name,
        "startedAt": TIMES[start],
        "endedAt": TIMES[end],
        "gpuSeconds": str(seconds),
        "cost": f"{seconds * 0.05 / 3600:.6f}",
        "wasted": "0",
        "outcome": "Succeeded",
        "reason": "Completed",
    } | fields
    lost = round(float(made["wasted"]) * 3600 / 0.05)
    money = {"lostWork": made["wasted"], "startUp": f"{4 * 0.05 / 3600:.6f}"}
    rest = Decimal(made["cost"]) - sum(map(Decimal, money.values()))
    return made | {
        "causes": {"productive": str(seconds - lost - 4), "lostWork": str(lost), "startUp": "4"},
        "costs": {"productive": str(rest), **money},
    }


def cost(attempts: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = sum(float(a["gpuSeconds"]) for a in attempts)
    return {
        "currency": "USD",
        "accrued": f"{sum(float(a['cost']) for a in attempts):.6f}",
        "projected": f"{sum(float(a['cost']) for a in attempts):.6f}",
        "wasted": f"{sum(float(a['wasted']) for a in attempts):.6f}",
        "causes": {
            cause: str(sum(Decimal(a["costs"][cause]) for a in attempts))
            for cause in ("productive", "lostWork", "startUp")
        },
        "gpuHours": f"{seconds / 3600:.6f}",
        "energyKwh": f"{seconds * 25 / 3.6e6:.6f}",
    }


def paid(*attempts: dict[str, Any]) -> dict[str, Any]:
    return {"attempts": list(attempts), "cost": cost(list(attempts))}


HYPER = {
    "optimizer": {},
    "learningRate": 3e-3,
    "warmupSteps": 15,
    "finalRatio": 0.1,
    "weightDecay": 0.1,
    "gradientClipping": 1.0,
    "precision": "BF16",
    "seed": 0,
}
WORLD = {"nodes": 1, "gpusPerNode": 2, "threads": 1, "device": "Cpu"}


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """The four resources of the quickstart, finished; the first attempt to pretrain failed."""
    return make(tmp_path / "work")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for tests that only look at it."""
    return make(tmp_path_factory.mktemp("finished") / "work")


def make(folder: Path) -> Path:
    maker = Maker(folder)
    store = f"{(folder / 'store').as_uri()}/default"

    def base(kind: str) -> dict[str, str]:
        name = SPECS[kind][0]
        return {"namespace": "default", "name": name, "output": f"{store}/{kind.lower()}/{name}"}

    data = parse(_resource("Dataset")).spec
    curate = CurateRun(
        **base("Dataset"),
        sources=[source.to_json() for source in data.sources],
        listing="file:///listing.json",
        listing_digest=f"sha256:{'a' * 64}",
        parts=2,
        curation=data.curation,
        vocab_size=4096,
        validation=0.05,
        seed=0,
    )
    maker.run("Dataset", curate)
    summary = {
        "documentsRead": 4210, "documentsKept": 3377, "tokens": 1_204_551, "validationTokens": 61_002,
        "examples": 3208, "validationExamples": 169, "vocabulary": 4096,
        "tokenizerDigest": f"sha256:{'b' * 64}",
        "dropped": [{"name": "near-duplicate", "count": 402}, {"name": "exact-duplicate", "count": 233},
                    {"name": "does-not-parse", "count": 121}, {"name": "alphanumeric-share-too-low", "count": 77}],
        "redacted": [{"name": "Email", "count": 41}, {"name": "IpAddress", "count": 9}],
    }  # fmt: skip
    stages = ["list", "clean", "dedup", "tokenise", "publish"]
    maker.resource(
        "Dataset",
        maker.artifact("Dataset", curate, 1)
        | {"summary": summary}
        | paid(
            *(
                attempt(
                    1, names.job("Dataset", "python-functions", 1, s, 1), 5 * i, 5 * i + 5, stage=s
                )
                for i, s in enumerate(stages)
            )
        ),
    )

    pretrain = PretrainRun.model_validate(
        base("PretrainJob")
        | {
            "datasets": [maker.input("Dataset") | {"weight": 1.0}],
            "shape": {"layers": 4, "hidden": 192, "heads": 6, "kvHeads": 6, "ffn": 512,
                      "vocabulary": 4096, "context": 256, "tieEmbeddings": True},
            "steps": 488, "sequencesPerStep": 16, "microBatch": 8, "hyperparameters": HYPER,
            "world": WORLD, "zeroStage": 1, "activationCheckpointing": False,
            "checkpointSeconds": 30, "checkpointKeep": 3,
        }
    )  # fmt: skip
    maker.run("PretrainJob", pretrain)
    maker.history(pretrain, 1, 1, 180, torn=True)
    maker.history(pretrain, 2, 121, 488)
    lost = {"outcome": "Lost", "failure": "Infrastructure", "reason": "NodeLost", "wasted": "0.000611", "checkpointStep": 120,
            "message": "the pod was lost with its node: its end was not observed", "estimated": True}  # fmt: skip
    maker.resource(
        "PretrainJob",
        maker.artifact("PretrainJob", pretrain, 2)
        | paid(
            attempt(1, "python-base-ptj-r1-a1", 30, 96, **lost),
            attempt(2, "python-base-ptj-r1-a2", 102, 240, resumedStep=120, checkpointStep=488),
        )
        | {
            "progress": {"fraction": 1.0, "loss": 2.6231, "tokensPerSecond": 21034.5, "step": 488, "steps": 488},
            "model": {"parameters": 2_098_560, "tokens": 1_998_848, "steps": 488, "trainLoss": 2.6231,
                      "validationLoss": 2.744, "unigramEntropy": 5.91},
        },
    )  # fmt: skip

    tune = FineTuneRun.model_validate(
        base("FineTune")
        | {
            "base": maker.input("PretrainJob"), "dataset": maker.input("Dataset"), "tuning": {"full": {}},
            "epochs": 3, "examplesPerStep": 32, "microBatch": 16, "maxLength": 256, "warmupRatio": 0.03,
            "hyperparameters": HYPER, "world": WORLD, "zeroStage": 1, "activationCheckpointing": False,
            "checkpointSeconds": 1800, "checkpointKeep": 3,
        }
    )  # fmt: skip
    maker.run("FineTune", tune)
    maker.history(tune, 1, 1, 300)
    maker.resource(
        "FineTune",
        maker.artifact("FineTune", tune, 1)
        | paid(attempt(1, "python-writer-ft-r1-a1", 245, 310))
        | {"model": {"parameters": 2_098_560, "tokens": 700_000, "steps": 300, "trainLoss": 1.9,
                     "validationLoss": 2.096, "trainableParameters": 2_098_560}},
    )  # fmt: skip

    exam = EvaluateRun.model_validate(
        base("Evaluation")
        | {
            "model": maker.input("FineTune"),
            "compareTo": maker.input("PretrainJob"),
            "tasks": [{"task": t} for t in SPECS["Evaluation"][1]["tasks"]],
            "seed": 0, "threads": 2, "device": "Cpu",
        }
    )  # fmt: skip
    maker.run("Evaluation", exam)
    samples = "".join(json.dumps(sample) + "\n" for sample in SAMPLES)
    maker.resource(
        "Evaluation",
        maker.artifact("Evaluation", exam, 1, samples__jsonl=samples)
        | paid(attempt(1, "python-exam-eval-r1-a1", 315, 352))
        | {"scores": SCORES},
    )
    name = SPECS["PretrainJob"][0]
    maker.events(
        event("PretrainJob", "WaitingForDataset", "Dataset python-functions is not finished yet (Pending)", 0),
        event("PretrainJob", "WaitingForDataset", "Dataset python-functions is not finished yet (Running)", 1, 25),
        event("Dataset", "Cleaning", "attempt 1 (python-functions-dset-r1-clean-a1) is running", 5),
        event("PretrainJob", "Training", f"attempt 1 ({name}-ptj-r1-a1) is running", 30),
        event("PretrainJob", "AttemptLost", f"attempt 1 ended (NodeLost): {lost['message']}", 97),
        event("PretrainJob", "Suspended", "of an earlier PretrainJob of this name", 1, uid="other"),
    )  # fmt: skip
    return folder


def event(
    kind: str, reason: str, message: str, first: int, last: int | None = None, *, uid: str = UID
) -> dict[str, Any]:
    """An Event at second `first`, and again at second `last`."""
    about = {"kind": kind, "namespace": "default", "name": SPECS[kind][0], "uid": uid}
    return {
        "involvedObject": about,
        "type": "Normal",
        "reason": reason,
        "message": message,
        "count": 1 if last is None else 2,
        "firstTimestamp": TIMES[first],
        "lastTimestamp": TIMES[first if last is None else last],
    }


def _resource(kind: str) -> dict[str, Any]:
    name, spec = SPECS[kind]
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def trained(folder: Path, name: str, **fields: Any) -> None:
    """A finished PretrainJob: its `step` in seconds, `tokens`, `loss`, `layers`, and `labels`."""
    maker = Maker(folder)
    tokens, layers = fields.get("tokens", 1_998_848), fields.get("layers", 4)
    run = PretrainRun.model_validate(
        {
            "namespace": "default",
            "name": name,
            "output": f"{(folder / 'store').as_uri()}/default/pretrainjob/{name}",
            "datasets": [],
            "shape": {"layers": layers, "hidden": 192, "heads": 6, "kvHeads": 6, "ffn": 512,
                      "vocabulary": 4096, "context": 256, "tieEmbeddings": True},
            "steps": tokens // 4096, "sequencesPerStep": 16, "microBatch": 8, "hyperparameters": HYPER,
            "world": WORLD, "zeroStage": 1, "activationCheckpointing": False,
            "checkpointSeconds": 30, "checkpointKeep": 3,
        }
    )  # fmt: skip
    maker.run("PretrainJob", run)
    step = fields.get("step")
    actual = {"outside": []} | ({} if step is None else {"stepSeconds": str(step)})
    spec = SPECS["PretrainJob"][1]
    shape = {
        key: run.shape.to_json()[key] for key in ("layers", "hidden", "heads", "kvHeads", "ffn")
    }
    status = {
        "phase": "Succeeded",
        "run": {"revision": 1, "digest": run.digest},
        "plan": {"pool": "laptop", "nodes": 1, "devices": 2, "actual": actual},
        "attempts": [attempt(1, name, 30, 96)],
        "artifact": {"uri": "file:///gone", "digest": f"sha256:{'c' * 64}", "bytes": 1},
        "model": {
            "parameters": fields.get("parameters", 2_000_000),
            "tokens": tokens,
            "steps": run.steps,
            "trainLoss": 9.0,
            "validationLoss": fields.get("loss", 3.0),
        },
    }
    maker.object(
        {
            "apiVersion": API_VERSION,
            "kind": "PretrainJob",
            "metadata": {"name": name, "labels": fields.get("labels", {})},
            "spec": spec | {"model": {"shape": shape, "context": 256}},
            "status": status,
        }
    )


@pytest.fixture(name="trained")
def _trained() -> Any:
    """Writes a finished PretrainJob into a work directory."""
    return trained


assert SPECS.keys() == KINDS.keys()
