#!/usr/bin/env python3
"""Make a benchmark folder of real MMLU questions that lm-evaluation-harness carries.

    python mmlu_dev.py --store DIR

writes DIR/benchmarks/mmlu-dev/: `mmlu_dev.yaml`, a multiple-choice task for the harness, and
`mmlu_dev.jsonl` with its questions. They are those of MMLU's dev split (Hendrycks et al. 2020,
arXiv 2009.03300; MIT licence), about five for each of 57 subjects, as they stand in the prompts of
the harness's chain-of-thought tasks. The worked reasoning is left out; the letter that it ends in
is the answer. A few hundred questions place a model within some three points of accuracy: enough
to see chance, not to rank models.

Nothing is downloaded: the installed package `lm-eval` holds the text.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from publish import NotPossible, lines, publish, run

FOLDER = "benchmarks/mmlu-dev"
PROMPTS = "tasks/mmlu/flan_cot_fewshot/_cot_prompts.json"
"""Where in the package the prompts are: subject -> text with its questions one after the other."""

TASK = """\
# Multiple choice without worked examples: the model's most likely letter is its answer.
task: mmlu_dev
dataset_path: json
dataset_kwargs:
  data_files:
    test: mmlu_dev.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "{{question.strip()}}{% for choice in choices %}\\n{{'ABCDE'[loop.index0]}}. {{choice}}\\
  {% endfor %}\\nAnswer:"
doc_to_choice: "{{['A', 'B', 'C', 'D', 'E'][:choices|length]}}"
doc_to_target: answer
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""

QUESTION = re.compile(
    r"(?P<question>.+?)\s\(A\)\s(?P<A>.+?)\s\(B\)\s(?P<B>.+?)\s\(C\)\s(?P<C>.+?)\s\(D\)\s(?P<D>.+?)"
    r"(?:\s\(E\)\s(?P<E>.+?))?\nA:\s(?P<reasoning>.+)",
    re.DOTALL,
)
ANSWER = re.compile(r"answer is \(?([A-E])\)?", re.IGNORECASE)


def question_of(text: str, subject: str) -> dict[str, Any] | None:
    """One question of a prompt, or None unless it has its choices and one stated answer.

    All have four choices, but for one of college chemistry that the package carries with five.
    """
    match = QUESTION.fullmatch(text.strip())
    if match is None:
        return None
    letters = [letter for letter in "ABCDE" if match[letter]]
    choices = [" ".join(match[letter].split()) for letter in letters]
    stated = set(ANSWER.findall(match["reasoning"]))
    if len(stated) != 1 or not stated <= set(letters):
        return None
    return {
        "subject": subject,
        "question": match["question"].strip(),
        "choices": choices,
        "answer": letters.index(stated.pop()),
    }


def questions(prompts: dict[str, str]) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The questions of all subjects in order, and how many of each subject were malformed."""
    found: list[dict[str, Any]] = []
    malformed: Counter[str] = Counter()
    for subject, prompt in sorted(prompts.items()):
        for text in re.split(r"\n\s*Q: ", prompt)[1:]:
            question = question_of(text, subject)
            if question is None:
                malformed[subject] += 1
            else:
                found.append(question)
    return found, malformed


def prompts() -> dict[str, str]:
    """The prompts of the installed package. Raises NotPossible if it is not there."""
    package = importlib.util.find_spec("lm_eval")
    if package is None or package.origin is None:
        raise NotPossible(
            "the package lm-eval is not installed in this Python; "
            "run the script with the Python of Cupola's trainer"
        )
    path = Path(package.origin).parent / PROMPTS
    try:
        value: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotPossible(
            f"{path} cannot be read: {error.strerror}; install lm-eval 0.4, which carries it"
        ) from error
    return value


def main() -> None:
    """Read the command line, make the folder, say what is in it. Raises NotPossible."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", type=Path, required=True, help="folder of the store")
    store = parser.parse_args().store
    found, malformed = questions(prompts())
    if not found:
        raise NotPossible("lm-eval's prompts hold no MMLU question; install lm-eval 0.4")
    publish(store / FOLDER, {"mmlu_dev.yaml": TASK, "mmlu_dev.jsonl": lines(found)})
    subjects = Counter(question["subject"] for question in found)
    print(
        f"{store / FOLDER}: {len(found)} questions of {len(subjects)} subjects, "
        f"{min(subjects.values())} to {max(subjects.values())} each; "
        f"{malformed.total()} malformed ones left out"
    )


if __name__ == "__main__":
    sys.exit(run(main))
