"""The quickstart in small: its files with a tiny model and few steps, on a slice of its data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from cupola_api.quantities import people

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "manifests/examples/quickstart"
DATA = ROOT / "manifests/examples/quickstart-data"

FILES, LINES = 2, 400
"""Of the functions."""


def data(store: Path) -> None:
    """Write the data of the quickstart into a store, cut to a size for tests."""
    for script in ("python_functions.py", "mmlu_dev.py"):
        subprocess.run(
            [sys.executable, DATA / script, "--store", store],
            check=True,
            capture_output=True,
            timeout=120,
        )
    for number, path in enumerate(sorted((store / "python-functions").glob("*.jsonl"))):
        if number < FILES:
            path.write_text("".join(path.read_text().splitlines(keepends=True)[:LINES]))
        else:
            path.unlink()


def resources(steps: int) -> list[dict[str, Any]]:
    """Dataset, PretrainJob, FineTune and Evaluation; the model is trained for so many steps."""
    dataset, pretrain, finetune, evaluation = (
        yaml.safe_load(path.read_text()) for path in sorted(QUICKSTART.glob("*.yaml"))
    )
    dataset["spec"]["tokenizer"]["train"]["vocabSize"] = 1024
    batch = 8 * 64
    pretrain["spec"] |= {
        "model": {"shape": {"layers": 2, "hidden": 64, "heads": 2}, "context": 64},
        "tokens": people(steps * batch),
        "batch": str(batch),
        "checkpoint": {"every": "1s", "keep": 2},
    }
    finetune["spec"] |= {
        "epochs": 0.2,
        "tuning": {"lora": {"rank": 4}},
        "schedule": {"learningRate": 0.002},
    }
    evaluation["spec"]["tasks"][1]["pythonFunction"] |= {"limit": 4, "maxNewTokens": 24}
    evaluation["spec"]["tasks"][2]["harness"] |= {"limit": 16}
    return [dataset, pretrain, finetune, evaluation]
