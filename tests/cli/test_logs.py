from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from cupola_operator import names
from cupola_operator.cli import app, logs
from cupola_operator.cli.logs import PodLog, lines_of_rank, of_resource, select


def run(workdir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["logs", *arguments, "--workdir", str(workdir)])


def write(workdir: Path, pod: str, text: str) -> Path:
    path = workdir / "logs" / "default" / f"{pod}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_logs_of_pods_are_known_by_their_names() -> None:
    stems = [
        "base-ptj-r1-a1-master-0",
        "base-ptj-r1-a1-worker-0",
        "base-ptj-r2-a10-master-0",
        "base-eval-r1-a1-0-abcde",
        "other-base-ptj-r1-a1-master-0",
        "base-ptj-r1-a1",
        "notes",
    ]
    found = of_resource("PretrainJob", "base", [Path(f"{stem}.log") for stem in stems])
    assert [(log.revision, log.attempt, log.member) for log in found] == [
        (1, 1, 0),
        (1, 1, 1),
        (2, 10, 0),
    ]


def test_a_name_that_was_cut_is_known_too() -> None:
    name = "a" * 36
    job = names.job("Dataset", name, 999, "tokenise", 64)
    assert not job.startswith(name)
    (log,) = of_resource("Dataset", name, [Path(f"{job}-7-x2x2x.log")])
    assert (log.stage, log.revision, log.attempt, log.member) == ("tokenise", 999, 64, 7)


def test_stages_are_in_the_order_in_which_they_run() -> None:
    stems = [f"d-dset-r1-{stage}-a1-0-abcde" for stage in ("clean", "dedup", "list", "publish")]
    found = of_resource("Dataset", "d", [Path(f"{stem}.log") for stem in stems])
    assert [log.stage for log in found] == ["list", "clean", "dedup", "publish"]


def log(revision: int, stage: str, attempt: int, member: int) -> PodLog:
    return PodLog(Path("x"), revision, stage, attempt, member)


LOGS = [
    log(1, "clean", 9, 0),
    log(2, "list", 1, 0),
    log(2, "clean", 1, 0),
    log(2, "clean", 2, 0),
    log(2, "clean", 2, 1),
]


def test_the_newest_attempt_of_each_stage_of_the_newest_revision_is_selected() -> None:
    assert [x.label for x in select(LOGS)] == ["list-a1-0", "clean-a2-0", "clean-a2-1"]
    assert [x.label for x in select(LOGS, stage="clean", attempt=1)] == ["clean-a1-0"]
    assert [x.label for x in select(LOGS, member=1)] == ["clean-a2-1"]
    assert select([]) == []


def test_lines_of_a_rank_lose_their_prefix() -> None:
    lines = ["[default0]:a", "[default1]:b", "W1122 launcher", "[default0]:", "[default10]:c"]
    assert lines_of_rank(lines, 0) == ["a", ""]
    assert lines_of_rank(lines, 10) == ["c"]


def test_the_newest_attempt_is_printed(workdir: Path) -> None:
    write(workdir, "python-base-ptj-r1-a1-master-0", "old\n")
    write(workdir, "python-base-ptj-r1-a2-master-0", "new\nwithout end")
    assert run(workdir, "python-base").stdout == "new\nwithout end\n"
    assert run(workdir, "ptj/python-base", "--attempt", "1").stdout == "old\n"


def test_several_pods_are_told_apart(workdir: Path) -> None:
    write(workdir, "python-functions-dset-r1-clean-a1-0-abcde", "zero\n")
    write(workdir, "python-functions-dset-r1-clean-a1-1-abcde", "one\n")
    write(workdir, "python-functions-dset-r1-list-a1-0-abcde", "list\n")
    all_of_them = run(workdir, "python-functions").stdout
    assert all_of_them == "[list-a1-0] list\n[clean-a1-0] zero\n[clean-a1-1] one\n"
    part = run(workdir, "python-functions", "--stage", "clean", "--rank", "1").stdout
    assert part == "one\n"


def test_a_rank_is_a_pod_and_a_rank_in_it(workdir: Path) -> None:
    # the resolved run says two ranks a pod
    write(workdir, "python-base-ptj-r1-a2-master-0", "[default0]:r0\n[default1]:r1\n")
    write(workdir, "python-base-ptj-r1-a2-worker-0", "[default0]:r2\n[default1]:r3\nlauncher\n")
    assert [run(workdir, "python-base", "--rank", str(r)).stdout for r in range(4)] == [
        f"r{r}\n" for r in range(4)
    ]


def test_a_log_that_does_not_tell_ranks_apart_is_printed_whole(workdir: Path) -> None:
    write(workdir, "python-base-ptj-r1-a2-master-0", "a\nb\n")
    found = run(workdir, "python-base", "--rank", "1")
    assert found.stdout == "a\nb\n"
    assert found.stderr == (
        "python-base-ptj-r1-a2-master-0.log does not tell ranks apart; all of it:\n"
    )


def test_no_logs_are_said(workdir: Path) -> None:
    found = run(workdir, "python-base")
    assert found.exit_code == 1
    assert found.stderr == (
        "PretrainJob/python-base has no logs yet: no pod of it has started, it is Succeeded\n"
    )
    write(workdir, "python-base-ptj-r1-a2-master-0", "a\n")
    found = run(workdir, "python-base", "--attempt", "5", "--rank", "0")
    assert found.stderr == (
        "PretrainJob/python-base has no logs for --attempt 5 --rank 0; there are logs of attempt 2\n"
    )


def test_bytes_that_are_no_text_are_printed_as_such(workdir: Path) -> None:
    write(workdir, "python-base-ptj-r1-a2-master-0", "").write_bytes(b"a\xffb\n")
    assert run(workdir, "python-base").stdout == "a\ufffdb\n"


def test_following_prints_what_comes_until_the_resource_has_ended(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_POLL_SECONDS", 0.02)
    path = workdir / "objects/PretrainJob/default/python-base.yaml"
    value = yaml.safe_load(path.read_text())
    ended = path.read_text()
    value["status"]["phase"] = "Running"
    path.write_text(yaml.safe_dump(value))
    file = write(workdir, "python-base-ptj-r1-a1-master-0", "first\nhal")

    def work() -> None:
        time.sleep(0.2)
        with file.open("a") as open_file:
            open_file.write("f\n")
        write(workdir, "python-base-ptj-r1-a2-master-0", "second")
        time.sleep(0.2)
        replacement = path.with_name(".new")
        replacement.write_text(ended)
        replacement.replace(path)

    worker = threading.Thread(target=work)
    worker.start()
    found = run(workdir, "python-base", "-f", "--attempt", "1")
    worker.join()
    assert found.stdout == "first\nhalf\n"
    assert run(workdir, "python-base", "-f").stdout == "second\n"
