from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from cupola_api import errors
from cupola_api.dataset import Dataset
from cupola_api.kinds import parse

ENDPOINT = {"url": "https://models.example.com/v1", "model": "writer"}
PAGES = {"name": "pages", "uri": "store:///pages", "format": "Jsonl"}


def synthetic(**fields: Any) -> dict[str, Any]:
    base = {
        "model": {"endpoint": ENDPOINT},
        "prompts": [{"name": "plain", "text": 'As JSON { "a": "{text}" }, please'}],
        "seeds": {"source": "pages"},
        "documents": 100,
    }
    return {"name": "written", "synthetic": base | fields}


def said(*sources: dict[str, Any], **spec: Any) -> list[str]:
    """What is wrong with a Dataset of these sources."""
    value = {
        "apiVersion": "cupola.dev/v1alpha1",
        "kind": "Dataset",
        "metadata": {"name": "data"},
        "spec": {"sources": [*sources], **spec},
    }
    try:
        parse(value)
    except ValidationError as error:
        return errors.sentences(error, Dataset)
    return []


@pytest.mark.parametrize(
    "model",
    [
        {"endpoint": ENDPOINT},
        {"pretrainJob": "base"},
        {"fineTune": "tuned"},
        {"huggingFace": "hf://some/model@" + "0f" * 20},
    ],
)
def test_any_model_may_write(model: dict[str, Any]) -> None:
    assert said(PAGES, synthetic(model=model)) == []
    assert said(synthetic(model=model, seeds={"dataset": "other"})) == []


def test_pairs_may_be_written() -> None:
    task = {"input": "prompt", "output": "text"}
    assert said(PAGES, synthetic(), task=task) == []
    text = {"name": "notes", "uri": "store:///notes", "format": "Text"}
    assert "format Jsonl or Parquet" in said(text, task=task)[0]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"name": "a"}, "write uri and format, or synthetic"),
        ({"name": "a", "uri": "store:///a"}, "needs a format"),
        ({**PAGES, **synthetic()}, "write uri and format, or synthetic"),
        ({**synthetic(), "format": "Jsonl"}, "one without has none"),
        ({**synthetic(), "maxFiles": 1}, "leave them out with synthetic"),
        ({**synthetic(), "text": "body"}, "leave them out with synthetic"),
        (synthetic(seeds={"source": "nobody"}), "the name of another source"),
        (synthetic(seeds={"source": "written"}), "the name of another source"),
        (synthetic(seeds={"source": "pages", "dataset": "other"}), "source: NAME"),
        (synthetic(prompts=[{"name": "p", "text": "Write."}]), "must hold {text}"),
        (synthetic(model={}), "name exactly one model"),
        (synthetic(model={"fineTune": "a", "endpoint": ENDPOINT}), "name exactly one model"),
        (synthetic(model={"huggingFace": "hf://a/b@main"}), "hf://org/name@ and 40 hex digits"),
        (synthetic(model={"endpoint": {**ENDPOINT, "timeout": "0s"}}), "must be longer than 0"),
        (synthetic(model={"endpoint": {**ENDPOINT, "url": "https://h/v1?key=1"}}), "host and path"),
        (synthetic(model={"endpoint": {**ENDPOINT, "url": "https://u:p@h/v1"}}), "host and path"),
        (synthetic(budget={}), "leave budget out for no limit"),
        (synthetic(budget={"tokens": "0"}), "more than 0"),
        (synthetic(budget={"maxCost": "10"}), "write its price"),
        (synthetic(pools=["h100"]), "leave it out with an endpoint"),
        (
            synthetic(prompts=[{"name": "p", "text": "{text}"}, {"name": "p", "text": "{text}."}]),
            "different names",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_remedy(source: dict[str, Any], words: str) -> None:
    sources = [source] if source["name"] == "pages" else [PAGES, source]
    (sentence,) = said(*sources)
    assert words in sentence


@pytest.mark.parametrize("word", ["title", "t", "te", "tex", "texts", "x", "test", "url"])
def test_a_placeholder_that_there_is_not_is_refused(word: str) -> None:
    (sentence,) = said(PAGES, synthetic(prompts=[{"name": "p", "text": f"{{text}} {{{word}}}"}]))
    assert "knows the placeholder {text} alone" in sentence


def test_one_source_of_a_dataset_may_be_synthetic() -> None:
    second = {**synthetic(), "name": "more"}
    assert "one synthetic source at most" in said(PAGES, synthetic(), second)[0]


def test_the_examples_are_valid() -> None:
    text = Path("manifests/examples/synthetic/dataset.yaml").read_text()
    names = [parse(one).metadata.name for one in yaml.safe_load_all(text)]
    assert names == ["explained", "taught"]
