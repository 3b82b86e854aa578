from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cupola_api.kinds import KINDS
from cupola_operator.cli import app
from cupola_operator.cli.get import age, look_up, reasons, tables
from cupola_operator.cli.workdir import Workdir
from cupola_operator.local import lock

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


def run(workdir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["get", *arguments, "--workdir", str(workdir)])


def test_tables_of_all_kinds(finished: Path) -> None:
    found = [value for kind in KINDS for value in Workdir(finished).objects(kind, "default")]
    assert tables(found, NOW, wide=False, named=True) == (
        "NAME                       PHASE       REASON      PROGRESS   DOCUMENTS   TOKENS    PLANNED   COST       AGE\n"
        "dataset/python-functions   Succeeded   Succeeded   1          3377        1204551             0.000695   2h30m\n"
        "\n"
        "NAME                      PHASE       REASON      PROGRESS   LOSS    ETA   PLANNED   COST       AGE\n"
        "pretrainjob/python-base   Succeeded   Succeeded   1          2.623                   0.005666   2h30m\n"
        "\n"
        "NAME                     PHASE       REASON      PROGRESS   LOSS   ETA   PLANNED   COST       AGE\n"
        "finetune/python-writer   Succeeded   Succeeded   1                                 0.001806   2h30m\n"
        "\n"
        "NAME                     PHASE       REASON      PROGRESS   TASK      SCORE   COMPARED   PLANNED   COST       AGE\n"
        "evaluation/python-exam   Succeeded   Succeeded   1          answers   8.134   31.72                0.001028   2h30m"
    )


def test_a_resource_without_status_has_empty_cells(finished: Path) -> None:
    value = {"kind": "FineTune", "metadata": {"name": "new"}}
    assert tables([value], NOW, wide=False, named=False) == (
        "NAME   PHASE   REASON   PROGRESS   LOSS   ETA   PLANNED   COST   AGE\nnew"
    )


def test_wide_shows_more_columns(finished: Path) -> None:
    assert "ATTEMPT" not in run(finished, "ptj").stdout
    assert "ATTEMPT" in run(finished, "ptj", "-o", "wide").stdout


def test_one_resource_and_one_kind(finished: Path) -> None:
    one = run(finished, "ptj/python-base", "-o", "wide")
    assert one.exit_code == 0
    assert one.stdout.splitlines()[1].startswith("python-base   Succeeded")
    assert len(run(finished, "evaluations").stdout.splitlines()) == 2


@pytest.fixture
def utc() -> Iterator[None]:
    """The time zone of this machine is UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("utc")
def test_one_resource_is_told_with_its_story(finished: Path) -> None:
    one = run(finished, "ptj/python-base")
    text = re.sub(r"[0-9a-f]{12} in .*", "DIGEST in FOLDER", one.stdout)
    text = re.sub(r"revision 1, [0-9a-f]{12}", "revision 1, RUN", text)
    assert text == (
        "PretrainJob/python-base\n"
        "Phase     Succeeded\n"
        "Run       revision 1, RUN\n"
        "Cost      0.0057 USD; 0.0006 USD of it (10.8 %) wasted, on work that attempts lost when they ended\n"
        "Result    2.1M parameters, validation loss 2.744 (by token frequencies alone 5.910)\n"
        "Artifact  DIGEST in FOLDER\n"
        "\n"
        "What happened since 2026-11-22 10:00:00 UTC:\n"
        "10:00:00          waited for Dataset python-functions\n"
        "10:00:30    +30s  attempt 1 started (1 pod, 2 devices)\n"
        "10:01:36  +1m36s  attempt 1 was lost (infrastructure): the pod was lost with its node: its end was not observed\n"
        "                  took 1 min 06 s, cost 0.0018 USD; lost 60 steps after step 120, 22 s of 2 devices, 0.0006 USD\n"
        "                  its end was not observed; the figures are estimated\n"
        "10:01:42  +1m42s  attempt 2 started, going on from step 120\n"
        "10:04:00  +4m00s  attempt 2 succeeded\n"
        "                  took 2 min 18 s, cost 0.0038 USD\n"
    )


def test_why_something_is_held_or_in_trouble_stands_below_the_table() -> None:
    def value(name: str, phase: str, message: str) -> dict[str, Any]:
        ready = {"type": "Ready", "status": "False", "reason": "R", "message": message,
                 "lastTransitionTime": "2026-11-22T12:00:00Z"}  # fmt: skip
        return {
            "kind": "FineTune",
            "metadata": {"name": name},
            "status": {"phase": phase, "conditions": [ready]},
        }

    values = [value("a", "Running", "it runs"), value("b", "Suspended", "spec.suspend is true"),
              value("c", "Recovering", "attempt 1 ended"), {"kind": "FineTune", "metadata": {"name": "d"}}]  # fmt: skip
    assert reasons(values) == [
        "FineTune/b is suspended: spec.suspend is true",
        "FineTune/c is recovering: attempt 1 ended",
    ]


def test_that_nothing_works_on_what_has_not_ended_is_said(workdir: Path) -> None:
    path = workdir / "objects/FineTune/default/python-writer.yaml"
    path.write_text(path.read_text().replace("phase: Succeeded", "phase: Running"))
    idle = f"No cupola run works in {workdir} now; the next one goes on.\n"
    for what in ("ft", "ft/python-writer"):
        assert run(workdir, what).stdout.endswith("\n\n" + idle)
        assert idle not in run(workdir, "ptj").stdout
        with lock.hold(workdir):
            assert idle not in run(workdir, what).stdout


@pytest.mark.parametrize(("output", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_json_and_yaml_are_a_list_of_whole_objects(finished: Path, output: str, load: Any) -> None:
    for what, kinds in (("ptj/python-base", ["PretrainJob"]), ("", list(KINDS))):
        found = load(run(finished, *filter(None, [what]), "-o", output).stdout)
        assert (found["apiVersion"], found["kind"]) == ("v1", "List")
        assert [item["kind"] for item in found["items"]] == kinds
        assert all(item["status"]["phase"] == "Succeeded" for item in found["items"])


def test_what_is_not_there_is_said_with_exit_code_1(finished: Path) -> None:
    for what in ("ptj/zzz", "pods", "ptj/"):
        missing = run(finished, what)
        assert missing.exit_code == 1
        assert missing.stdout == ""
        assert len(missing.stderr.splitlines()) == 1


def test_an_empty_namespace_is_said(finished: Path) -> None:
    empty = run(finished, "-n", "other")
    assert empty.exit_code == 0
    assert empty.stderr == f"there are no resources in namespace other of {finished}\n"


def test_a_broken_object_is_said(workdir: Path) -> None:
    (workdir / "objects/FineTune/default/python-writer.yaml").write_text("a: [")
    broken = run(workdir)
    assert broken.exit_code == 1
    assert "python-writer.yaml is not YAML" in broken.stderr


def test_the_work_directory_may_come_from_the_environment(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUPOLA_WORKDIR", str(finished))
    assert "python-base" in CliRunner().invoke(app, ["get"]).stdout


VALUE = {"a": {"b": [1, {"type": "Ready", "reason": "X"}, {"type": "Z"}]}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.b[0]", 1),
        (".a.b[?(@.type=='Ready')].reason", "X"),
        (".a.b[?(@.type=='Z')].reason", None),
        (".a.b[?(@.type=='None')].reason", None),
        (".a.b[9]", None),
        (".a.b[-1:].type", "Z"),
        (".a.c[-1:]", None),
        (".a.c.d", None),
        (".a.b.c", None),
        (".a[0]", None),
    ],
)
def test_paths_of_columns(path: str, found: Any) -> None:
    assert look_up(VALUE, path) == found


def test_every_column_of_every_kind_is_understood() -> None:
    for kind in KINDS.values():
        for column in kind.columns:
            assert look_up({}, column.path) is None
    with pytest.raises(ValueError, match="is not understood"):
        look_up({}, ".a..b")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"), (0.4, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (599, "9m59s"), (601, "10m"),
        (3 * 3600 + 60, "3h1m"), (12 * 3600 + 60, "12h"), (3 * 86_400 + 7200, "3d2h"), (80 * 86_400, "80d"),
        (366 * 86_400, "1y1d"),
    ],
)  # fmt: skip
def test_ages(seconds: float, text: str) -> None:
    assert age(seconds) == text
