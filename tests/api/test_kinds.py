from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from cupola_api import API_VERSION
from cupola_api.kinds import KINDS, parse, update_error

EXAMPLES = sorted(Path("manifests/examples/quickstart").glob("*.yaml"))


def _dataset(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Dataset",
        "metadata": {"name": "d"},
        "spec": {"sources": [{"name": "a", "uri": "store:///a", "format": "Jsonl"}], **spec},
    }


def test_the_quickstart_holds_one_of_each_kind_in_the_order_of_the_work() -> None:
    assert [yaml.safe_load(p.read_text())["kind"] for p in EXAMPLES] == list(KINDS)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_parsing_what_was_parsed_changes_nothing(path: Path) -> None:
    once = parse(yaml.safe_load(path.read_text()))
    assert parse(once.to_json()) == once


def test_another_version_of_the_api_is_refused_with_the_right_one() -> None:
    with pytest.raises(ValueError, match=f"apiVersion must be {API_VERSION}, not 'v1'"):
        parse({**_dataset(), "apiVersion": "v1"})


def test_a_number_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        parse(_dataset(validation=float("inf")))


def test_a_date_of_yaml_is_a_text_like_any_other() -> None:
    with pytest.raises(ValidationError):
        parse(_dataset(seed=date(2026, 1, 1)))


def test_a_field_of_the_run_changes_only_with_the_revision() -> None:
    old, new = parse(_dataset()), parse(_dataset(seed=1))
    error = update_error(old, new)
    assert error is not None
    assert "raise spec.revision to start a new run of this Dataset" in error
    assert update_error(old, parse(_dataset(seed=1, revision=2))) is None


def test_concurrency_may_change_at_any_time() -> None:
    assert update_error(parse(_dataset()), parse(_dataset(maxPods=3))) is None


def test_a_revision_never_goes_back() -> None:
    assert update_error(parse(_dataset(revision=2)), parse(_dataset(revision=1))) is not None


def test_an_optional_field_that_appears_is_a_change() -> None:
    task = {"input": "a", "output": "b"}
    assert update_error(parse(_dataset()), parse(_dataset(task=task))) is not None
