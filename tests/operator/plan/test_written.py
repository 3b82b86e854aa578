from __future__ import annotations

from typing import Any

import pytest

from cupola_api import API_VERSION, kinds
from cupola_operator.plan.answers import curating, written

from . import planning

ENDPOINT = {"url": "https://models.example.com/v1", "model": "writer"}
PRICE = {"inputPerMillion": "0.5", "outputPerMillion": "2"}


def dataset(model: dict[str, Any], **fields: Any) -> Any:
    asked = {
        "model": model,
        "prompts": [{"name": "plain", "text": "{text}" + "x" * 500}],
        "seeds": {"source": "pages", "maxCharacters": 1000},
        "documents": 2000,
        "maxTokens": 250,
        **fields,
    }
    return kinds.parse(
        {
            "apiVersion": API_VERSION,
            "kind": "Dataset",
            "metadata": {"name": "docs"},
            "spec": {
                "sources": [
                    {"name": "pages", "uri": "store:///pages", "format": "Jsonl"},
                    {"name": "written", "synthetic": asked},
                ]
            },
        }
    )


def test_what_an_endpoint_takes_at_most_is_said_beside_the_pods() -> None:
    resource = dataset({"endpoint": {**ENDPOINT, "price": PRICE}}, budget={"maxCost": "1"})
    (said,) = written.notes(resource, "USD")
    assert said == (
        "its source written is 2,000 answers of writer, with up to 1M tokens of prompts and 500K of "
        "answers; models.example.com takes up to 1.5 USD for that, besides the run's pods; its "
        "budget ends it at 1 USD"
    )
    assert said in curating.plan(resource, planning.settings(), planning.known()).notes


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"endpoint": ENDPOINT}, "is not known without its price"),
        ({"fineTune": "tuned"}, "cupola plan --generate 500K with the model's --size"),
    ],
)
def test_what_is_not_known_is_said(model: dict[str, Any], words: str) -> None:
    assert words in written.notes(dataset(model), "USD")[0]


def test_a_dataset_of_files_has_no_such_note() -> None:
    assert written.notes(planning.dataset(), "USD") == []
