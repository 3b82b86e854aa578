from __future__ import annotations

from pathlib import Path

from cupola_trainer.history import HISTORY, History, read


def _write(attempt: Path, steps: range, loss: float) -> None:
    with History(attempt) as history:
        for step in steps:
            history.append({"step": step, "loss": loss})


def test_later_attempts_replace_what_they_repeat(tmp_path: Path) -> None:
    _write(tmp_path / "a1", range(1, 6), 1.0)
    _write(tmp_path / "a10", range(5, 8), 10.0)
    _write(tmp_path / "a2", range(4, 6), 2.0)
    losses = [(entry["step"], entry["loss"]) for entry in read(tmp_path)]
    assert losses == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 10.0), (6, 10.0), (7, 10.0)]


def test_a_torn_line_loses_only_itself(tmp_path: Path) -> None:
    _write(tmp_path / "a1", range(1, 4), 1.0)
    path = tmp_path / "a1" / HISTORY
    path.write_bytes(path.read_bytes()[:-7])
    assert [entry["step"] for entry in read(tmp_path)] == [1, 2]
    _write(tmp_path / "a1", range(3, 5), 2.0)
    assert [(e["step"], e["loss"]) for e in read(tmp_path)] == [(1, 1), (2, 1), (3, 2), (4, 2)]


def test_lines_that_are_no_steps_are_passed_over(tmp_path: Path) -> None:
    _write(tmp_path / "a1", range(1, 2), 1.0)
    with (tmp_path / "a1" / HISTORY).open("ab") as file:
        file.write(b'\xff\xfe\n7\n[]\n{"loss": 1}\n{"step": "x"}\n{"step": 2, "loss": 3}\n')
    assert [entry["step"] for entry in read(tmp_path)] == [1, 2]


def test_no_history_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path) == []
