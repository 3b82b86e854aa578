from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from cupola_api import run


def _run(**values: object) -> run.ListRun:
    base = {
        "namespace": "default",
        "name": "d",
        "output": "file:///store/default/dataset/d",
        "sources": [{"name": "a", "uri": "file:///a", "format": "Jsonl"}],
    }
    return run.ListRun.model_validate({**base, **values})


def test_run_yaml_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(run.dump(_run()))
    assert run.load(path) == _run()


def test_a_run_is_read_without_asking_the_rules_that_its_resource_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(run.dump(_run(files=[{"name": "block-a", "uri": "file:///a"}])))
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from cupola_api import run\n"
        "run.load(Path(sys.argv[1]))\n"
        "raise SystemExit('celpy' in sys.modules)\n"
    )
    asked = [sys.executable, "-c", program, str(path)]
    assert subprocess.run(asked, timeout=60, check=False).returncode == 0


def test_the_digest_is_of_the_work_and_not_of_where_it_goes() -> None:
    assert _run().digest == _run(output="file:///elsewhere").digest
    assert _run().digest != _run(name="e").digest


def test_the_folder_of_a_run_is_named_by_its_digest() -> None:
    value = _run()
    assert value.folder == f"file:///store/default/dataset/d/{value.digest[7:23]}"


def test_a_file_that_is_no_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("kind: Nothing\n")
    with pytest.raises(ValidationError):
        run.load(path)


def test_the_digest_does_not_depend_on_the_store() -> None:
    def curate(store: str) -> run.CurateRun:
        return run.CurateRun.model_validate(
            {
                "namespace": "default",
                "name": "d",
                "output": f"{store}/default/dataset/d",
                "sources": [{"name": "a", "uri": f"{store}/a", "format": "Jsonl"}],
                "listing": f"{store}/listings/1.json",
                "listingDigest": "sha256:" + "1" * 64,
                "parts": 1,
                "curation": {},
                "vocabSize": 512,
                "validation": 0.1,
                "seed": 0,
            }
        )

    assert curate("file:///one").digest == curate("file:///two").digest
