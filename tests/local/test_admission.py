from __future__ import annotations

from typing import Any

from cupola_api import API_VERSION, kinds
from cupola_operator.local.admission import key, problems


def _dataset(name: str, tokenizer: str | None = None) -> Any:
    spec: dict[str, Any] = {"sources": [{"name": "a", "uri": "store:///a", "format": "Jsonl"}]}
    if tokenizer:
        spec["tokenizer"] = {"dataset": tokenizer}
    return _resource("Dataset", name, spec)


def _training(name: str, dataset: str) -> Any:
    return _resource(
        "PretrainJob", name, {"datasets": [{"name": dataset}], "model": {"size": "1M"}}
    )


def _resource(kind: str, name: str, spec: dict[str, Any]) -> Any:
    metadata = {"name": name}
    return kinds.parse(
        {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    )


def test_references_among_the_files_and_into_the_work_directory_are_good() -> None:
    old = _dataset("old")
    given = [_training("a", "new"), _dataset("new", "old")]
    assert problems(given, {key(old): old}) == []


def test_a_missing_reference_is_named_with_its_field_and_what_there_is() -> None:
    training = _training("t", "wiki")
    sentence = (
        "spec.datasets[0].name: Dataset/wiki is neither in the files nor in the work directory "
        "(there is books, web); add its file with -f, or correct the name"
    )
    assert problems([training, _dataset("books"), _dataset("web")], {}) == [(training, sentence)]
    assert "there is no Dataset at all" in problems([training], {})[0][1]


def test_a_circle_is_refused() -> None:
    a, b = _dataset("a", "b"), _dataset("b", "a")
    assert [sentence for _, sentence in problems([a], {key(b): b})] == [
        "spec.tokenizer.dataset: Dataset/b itself waits for Dataset/a; name another"
    ]
    own = _dataset("a", "a")
    assert len(problems([own], {})) == 1


def test_a_circle_is_one_problem_however_many_are_in_it() -> None:
    names = ["a", "b", "c", "d"]
    given = [_dataset(one, other) for one, other in zip(names, names[1:] + names[:1], strict=True)]
    outside = _dataset("e", "a")
    assert problems([outside, *given], {}) == [
        (given[0], "spec.tokenizer.dataset: Dataset/b itself waits for Dataset/a; name another")
    ]


def test_a_circle_elsewhere_is_not_this_ones_problem() -> None:
    a, b = _dataset("a", "b"), _dataset("b", "a")
    assert problems([_training("t", "a")], {key(a): a, key(b): b}) == []


def test_a_file_replaces_what_the_work_directory_holds() -> None:
    a, b = _dataset("a", "b"), _dataset("b", "a")
    assert problems([_dataset("a")], {key(a): a, key(b): b}) == []
