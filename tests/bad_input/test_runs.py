"""What only a pod can see: real pods say it, and the sentence stands in the resource's conditions."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from cupola_api import API_VERSION
from cupola_operator.local.store import Store

from .test_refused import CUPOLA, needs_mount

pytestmark = pytest.mark.local


def dataset(folder: Path, source: Path, **spec: Any) -> Path:
    """A file with a Dataset of one source."""
    value = {
        "apiVersion": API_VERSION,
        "kind": "Dataset",
        "metadata": {"name": "docs"},
        "spec": {
            "sources": [{"name": "web", "uri": source.as_uri(), "format": "Jsonl"}],
            "tokenizer": {"train": {"vocabSize": 600}},
            **spec,
        },
    }
    path = folder / "docs.yaml"
    path.write_text(yaml.safe_dump(value))
    return path


def write(source: Path, files: int, **fields: str) -> None:
    """Files of fifty records each."""
    source.mkdir()
    for number in range(files):
        records = [
            {name: f"{text} {number} {i} {i * number * 7919}" for name, text in fields.items()}
            for i in range(50)
        ]
        (source / f"{number:03d}.jsonl").write_text("\n".join(map(json.dumps, records)))


def command(file: Path, work: Path) -> list[str]:
    return [str(CUPOLA), "run", "-f", str(file), "--workdir", str(work)]


def failed(work: Path, output: str, code: int) -> tuple[str, str]:
    """Reason and sentence of a Dataset that has Failed, as its conditions have them."""
    assert code == 1, output
    assert "Traceback" not in output
    (value,) = Store(work).find("Dataset")
    status = value["status"]
    assert status["phase"] == "Failed"
    conditions = {one["type"]: one for one in status["conditions"]}
    true = {name for name, one in conditions.items() if one["status"] == "True"}
    assert true == {"Stalled", "Failed"}
    said = conditions["Failed"]
    assert conditions["Stalled"]["message"] == conditions["Ready"]["message"] == said["message"]
    assert said["message"] in output.replace("\n", " ")
    assert "artifact" not in status
    return said["reason"], said["message"]


def run(file: Path, work: Path, *before: str) -> tuple[str, str]:
    """Run to the end; the reason and the sentence of the failure."""
    done = subprocess.run(
        [*before, *command(file, work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    return failed(work, done.stdout, done.returncode)


def test_a_source_without_files(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    reason, message = run(dataset(tmp_path, source), tmp_path / "work")
    assert reason == "SourceEmpty"
    assert message.startswith(
        f"source web: {source.as_uri()} holds no file of format Jsonl (*.json"
    )
    assert message.endswith("put some there or correct the format")


def test_records_without_the_text_field(tmp_path: Path) -> None:
    write(tmp_path / "source", 1, body="nothing but", title="a title")
    reason, message = run(dataset(tmp_path, tmp_path / "source"), tmp_path / "work")
    assert reason == "FieldMissing"
    assert message == (
        "source web: no record has the text field text; there are: body, title; name the right one "
        "in spec.sources[].text"
    )


def test_a_source_that_vanishes_after_it_was_listed(tmp_path: Path) -> None:
    source, work = tmp_path / "source", tmp_path / "work"
    write(source, 400, text="here today, gone tomorrow, and never seen again")
    process = subprocess.Popen(
        command(dataset(tmp_path, source), work),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # The pod that cleans has yet to start, and then reads one file after the other.
    while not list(work.glob("store/default/dataset/docs/listings/[!.]*.json")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)
    source.rename(tmp_path / "gone")
    output, _ = process.communicate(timeout=120)
    reason, message = failed(work, output, process.returncode)
    assert reason == "SourceChanged"
    assert message.startswith("source web: ")
    assert ".jsonl is not as it was listed; leave the files as they are" in message


@needs_mount
def test_no_space_left_in_the_store(tmp_path: Path) -> None:
    write(tmp_path / "source", 40, text="more and more and more text for a store that is too small")
    file = dataset(tmp_path, tmp_path / "source", recovery={"infrastructure": 0})
    store, work = tmp_path / "work/store", tmp_path / "work"
    store.mkdir(parents=True)
    script = (
        'mount -t tmpfs -o size=64k none "$0" && "$@"; code=$?; find "$0" >"$0.txt"; exit $code'
    )
    reason, message = run(file, work, "unshare", "-Urm", "sh", "-c", script, str(store))
    assert reason == "StorageFailed"
    assert "No space left on device; make room in the store" in message
    left = [Path(line) for line in store.with_name("store.txt").read_text().splitlines()]
    whole = {path.parent for path in left if path.name == "manifest.json"}
    assert {path.parent for path in left if path.name.startswith("rows-")} <= whole
    assert not [path for path in left if path.name.startswith(".")]
