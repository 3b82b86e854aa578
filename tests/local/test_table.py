from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

from rich.console import Console

from cupola_operator.cli.table import (
    Journal,
    final,
    live,
    progress_text,
    results,
    rows,
    total,
    waits_for,
)
from cupola_operator.cluster import Object

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
COST = {
    "currency": "USD",
    "accrued": "0.01234",
    "projected": "0.02",
    "wasted": "0",
    "gpuHours": "0.2",
    "energyKwh": "0.01",
}


def _value(kind: str, phase: str, reason: str = "R", message: str = "m", **status: Any) -> Object:
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-31T12:00:00Z",
    }
    return {
        "kind": kind,
        "metadata": {"name": "x", "namespace": "default"},
        "status": {"phase": phase, "conditions": [ready], **status},
    }


def _running(**progress: Any) -> Object:
    values = {
        "fraction": 0.25,
        "eta": "2026-01-31T12:02:05Z",
        "step": 100,
        "steps": 400,
        "loss": 3.14159,
        "tokensPerSecond": 2340.0,
        **progress,
    }
    return _value("PretrainJob", "Running", progress=values, cost=COST)


def _print(renderable: Any, width: int = 200) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(renderable)
    output = console.file
    assert isinstance(output, StringIO)
    return output.getvalue()


def test_a_row_says_how_far_and_how_long() -> None:
    row = rows([_running()], NOW)[0]
    assert row == (
        "PretrainJob/x", "Running", "R", "m", 0.25,
        "100/400", "3.142", "2.34K/s", "2m05s", "0.0123 USD",
    )  # fmt: skip


def test_a_stage_says_what_it_has_worked_on() -> None:
    progress = {"fraction": 0.3, "stage": "clean", "documents": 1_200_000, "bytes": 1_500_000_000}
    value = _value("Dataset", "Running", progress=progress)
    assert progress_text(rows([value], NOW)[0]) == "30%, stage clean: 1.2M documents, 1.5 GB"
    value["status"]["progress"] |= {"bytesTotal": 4_000_000_000, "documentsTotal": 3_000_000}
    said = "30%, stage clean: 1.2M of 3M documents, 1.5 GB of 4 GB"
    assert progress_text(rows([value], NOW)[0]) == said
    del value["status"]["progress"]["bytes"]
    assert progress_text(rows([value], NOW)[0]) == "30%, stage clean: 1.2M of 3M documents"


def test_a_resource_that_nobody_looked_at_yet_is_pending() -> None:
    value = {"kind": "Dataset", "metadata": {"name": "x", "namespace": "default"}}
    row = rows([value], NOW)[0]
    assert (row.phase, row.fraction, row.cost) == ("Pending", 0.0, "")


def test_what_has_ended_has_no_time_left() -> None:
    value = _running()
    value["status"]["phase"] = "Succeeded"
    row = rows([value], NOW)[0]
    assert (row.fraction, row.eta, row.speed) == (1.0, "", "")


def test_times_are_short() -> None:
    etas = {"2026-01-31T12:00:09Z": "9s", "2026-01-31T15:04:00Z": "3h04m"}
    etas["2026-01-31T11:00:00Z"] = "0s"
    for eta, text in etas.items():
        assert rows([_running(eta=eta)], NOW)[0].eta == text


def test_a_line_says_what_is_waited_for() -> None:
    waiting = _value("FineTune", "Waiting", message="PretrainJob x is not finished yet")
    table = rows([_value("Dataset", "Succeeded"), waiting, _running()], NOW)
    assert waits_for(table) == "PretrainJob/x: m"
    assert waits_for(table[:2]) == "FineTune/x: PretrainJob x is not finished yet"
    assert waits_for(table[:1]) == ""


def test_what_is_suspended_is_not_waited_for() -> None:
    held = _value("PretrainJob", "Suspended", message="spec.suspend is true")
    assert waits_for(rows([held, _value("FineTune", "Waiting")], NOW)) == "FineTune/x: m"
    assert (
        rows([{**_running(), "status": {**_running()["status"], "phase": "Suspended"}}], NOW)[0].eta
        == ""
    )


def test_the_live_table_shows_every_resource() -> None:
    text = _print(live(rows([_value("Dataset", "Succeeded"), _running()], NOW)))
    lines = text.splitlines()
    assert lines[0].split() == [
        "Resource", "Phase", "Progress", "Step", "Loss", "Tokens", "Left", "Cost",
    ]  # fmt: skip
    assert "Dataset/x" in lines[1]
    assert "100/400" in lines[2]
    assert lines[-1].strip() == "PretrainJob/x: m"
    assert len(_print(live(rows([_running()], NOW)), width=40).splitlines()) <= 4


def test_a_log_has_a_line_for_each_change() -> None:
    journal = Journal()
    first = journal.lines(rows([_value("Dataset", "Waiting", "Q", "why")], NOW), NOW)
    assert first == ["2026-01-31T12:00:00Z Dataset/x Waiting Q: why"]
    later = NOW + timedelta(seconds=60)
    assert journal.lines(rows([_value("Dataset", "Waiting", "Q", "other")], later), later) == []
    assert journal.lines(rows([_value("Dataset", "Waiting", "S", "")], later), later) == [
        "2026-01-31T12:01:00Z Dataset/x Waiting S"
    ]


def test_a_log_has_progress_now_and_then() -> None:
    journal = Journal()
    said = []
    for second in range(26):
        now = NOW + timedelta(seconds=second)
        value = _running(step=second, fraction=second / 400, eta=None)
        said += journal.lines(rows([value], now), now)
    rest = "loss 3.142, 2.34K tokens/s, 0.0123 USD"
    assert said == [
        "2026-01-31T12:00:00Z PretrainJob/x Running R: m",
        f"2026-01-31T12:00:10Z PretrainJob/x 2%, step 10/400, {rest}",
        f"2026-01-31T12:00:20Z PretrainJob/x 5%, step 20/400, {rest}",
    ]


def test_progress_that_stands_still_is_not_repeated() -> None:
    journal = Journal()
    for second in (0, 10, 20, 30):
        now = NOW + timedelta(seconds=second)
        lines = journal.lines(rows([_running(eta=None)], now), now)
        assert len(lines) == (1 if second == 0 else 0)


def test_results_say_what_came_of_each() -> None:
    digest = "sha256:" + "0" * 64
    summary = {
        "documentsRead": 2000, "documentsKept": 1234, "tokens": 2_000_000, "validationTokens": 1,
        "examples": 900, "vocabulary": 512, "tokenizerDigest": digest,
    }  # fmt: skip
    model = {"parameters": 2_340_000, "validationLoss": 2.5, "unigramEntropy": 6.25}
    scores = [
        {"task": "t", "metric": "acc", "value": 0.5, "comparedTo": 0.25},
        {"task": "u", "metric": "share", "value": 0.125},
    ]
    found = results(
        [
            _value("Dataset", "Succeeded", summary=summary, cost=COST),
            _value("PretrainJob", "Succeeded", model=model),
            _value("Evaluation", "Failed", message="t acc is too low", scores=scores),
            _value("FineTune", "Waiting", message="PretrainJob x failed"),
        ]
    )
    assert found == [
        ("Dataset/x", "Succeeded", "1,234 documents, 2M tokens, 900 examples", "0.0123 USD"),
        (
            "PretrainJob/x",
            "Succeeded",
            "2.34M parameters, validation loss 2.500 (by token frequencies alone 6.250)",
            "",
        ),
        (
            "Evaluation/x",
            "Failed",
            "t acc 0.5 (compared with 0.25); u share 0.125; t acc is too low",
            "",
        ),
        ("FineTune/x", "Waiting", "PretrainJob x failed", ""),
    ]


def test_words_of_people_are_not_taken_for_markup() -> None:
    text = _print(final([_value("Dataset", "Failed", message="[red]list[/] [0]")]))
    assert "[red]list[/] [0]" in text


def test_costs_add_up() -> None:
    values = [_value("Dataset", "Succeeded", cost=COST), _value("FineTune", "Running", cost=COST)]
    assert total(values) == "0.0247 USD"
    assert "0.0247 USD" in _print(final(values))
    assert total([_value("Dataset", "Pending")]) == ""
