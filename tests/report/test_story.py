"""Stories as a person reads them: whole texts, by value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from cupola_api.common import Status
from cupola_api.run import PretrainRun
from cupola_operator.children import Placement, Resolved
from cupola_operator.cluster import Object
from cupola_operator.report.story import clock, story
from cupola_operator.resources import parse_status
from cupola_operator.settings import Device, Pool

DAY = "2026-11-23T"
KILLED = "pod base-ptj-r1-a1-master-0 was killed (SIGKILL) from outside"


def _at(time: str) -> str:
    return f"{DAY}{time}Z"


def _attempt(
    number: int, start: str | None, end: str | None = None, **fields: Any
) -> dict[str, Any]:
    """An attempt on four devices."""
    value: dict[str, Any] = {"number": number, "name": f"base-ptj-r1-a{number}"}
    if start:
        value["startedAt"] = _at(start)
    if start and end:
        length = datetime.fromisoformat(_at(end)) - datetime.fromisoformat(_at(start))
        used = 4 * int(length.total_seconds())
        value |= {"endedAt": _at(end), "gpuSeconds": str(used), "cost": f"{used * 3.6 / 3600:.4f}"}
    return value | fields


def _condition(kind: str, time: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": _at(time),
    }


def _event(
    time: str, reason: str, message: str, *, last: str | None = None, warning: bool = False
) -> Object:
    return {
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": message,
        "count": 2 if last else 1,
        "firstTimestamp": _at(time),
        "lastTimestamp": _at(last or time),
    }


def _status(kind: str, *attempts: dict[str, Any], **fields: Any) -> Status:
    cost = {"currency": "USD", "accrued": "1", "projected": "1", "wasted": "0", "gpuHours": "1",
            "energyKwh": "1"}  # fmt: skip
    whole = {"phase": "Running", "run": {"revision": 1}, "cost": cost, "attempts": list(attempts)}
    status = parse_status(kind, whole | fields)
    assert len(status.attempts) == len(attempts)
    return status


def _run() -> Resolved:
    pool = Pool(
        name="p", device=Device.GPU, gpus_per_node=2, price_per_gpu_hour="3.6", gpu_watts=1,
        host_watts=1,
    )  # fmt: skip
    run = PretrainRun.model_validate(
        {
            "namespace": "n", "name": "base", "output": "file:///o",
            "datasets": [{"kind": "Dataset", "name": "d", "uri": "file:///d", "weight": 1.0,
                          "digest": f"sha256:{'a' * 64}"}],
            "shape": {"layers": 1, "hidden": 8, "heads": 1, "kvHeads": 1, "ffn": 8, "vocabulary": 300,
                      "context": 8, "tieEmbeddings": True},
            "steps": 700, "sequencesPerStep": 16, "microBatch": 4,
            "hyperparameters": {"optimizer": {}, "learningRate": 1e-3, "warmupSteps": 1, "finalRatio": 0.1,
                                "weightDecay": 0.1, "gradientClipping": 1.0, "precision": "BF16", "seed": 0},
            "world": {"nodes": 2, "gpusPerNode": 2, "threads": 1, "device": "Gpu"}, "zeroStage": 1,
            "activationCheckpointing": False, "checkpointSeconds": 30, "checkpointKeep": 3,
        }
    )  # fmt: skip
    placement = Placement(pool=pool, currency="USD", image="i")
    return Resolved(name="base-ptj-r1", digest="d", run=run, placement=placement)


def _told(status: Status, **more: Any) -> str:
    lines = story(status, **more)
    texts = []
    for line, (at, since) in zip(lines, clock(lines, zone=UTC), strict=True):
        texts.append(f"{at} {since:>8} {line.text}")
        texts += [f"{'':>18}{detail}" for detail in line.details]
    return "\n".join(texts)


def test_a_run_that_was_killed_goes_on_and_succeeds() -> None:
    status = _status(
        "PretrainJob",
        _attempt(1, "09:00:02", "09:14:10", outcome="Lost", failure="Infrastructure", reason="Killed",
                 message=KILLED, checkpointStep=300, wasted="0.164"),
        _attempt(2, "09:14:21", "09:40:00", outcome="Succeeded", resumedStep=300, checkpointStep=700),
        phase="Succeeded",
        conditions=[_condition("Succeeded", "09:40:01", "Completed", "revision 1 is finished; its …")],
    )  # fmt: skip
    events = [
        _event("08:59:10", "WaitingForDataset", "Dataset docs is not finished yet (Pending)"),
        _event("08:59:20", "WaitingForDataset", "Dataset docs is not finished yet (Running)", last="09:00:00"),
        _event("09:00:01", "Resolving", "revision 1 is resolved into ConfigMap base-ptj-r1"),
        _event("09:00:01", "Training", "attempt 1 starts as base-ptj-r1-a1"),
        _event("09:00:02", "Training", "attempt 1 (base-ptj-r1-a1) is running"),
        _event("09:14:10", "AttemptLost", f"attempt 1 ended (Killed): {KILLED}", warning=True),
        _event("09:14:21", "Training", "attempt 2 (base-ptj-r1-a2) is running"),
        _event("09:40:01", "Completed", "revision 1 is finished; its …"),
    ]  # fmt: skip
    assert _told(status, events=events, run=_run(), reached={1: 340, 2: 700}) == (
        "08:59:10          waited for Dataset docs\n"
        "09:00:02     +52s attempt 1 started (2 pods, 4 devices)\n"
        f"09:14:10  +15m00s attempt 1 was lost (infrastructure): {KILLED}\n"
        "                  took 14 min 08 s, cost 3.3920 USD; lost 40 steps after step 300, 41 s of 4 devices, 0.1640 USD\n"
        "09:14:21  +15m11s attempt 2 started, going on from step 300\n"
        "09:40:00  +40m50s attempt 2 succeeded\n"
        "                  took 25 min 39 s, cost 6.1560 USD\n"
        "09:40:01  +40m51s succeeded"
    )


def test_without_files_and_events_the_same_story_is_shorter() -> None:
    status = _status(
        "PretrainJob",
        _attempt(1, "09:00:02", "09:14:10", outcome="Lost", failure="Infrastructure", message=KILLED,
                 checkpointStep=300, wasted="0.164", estimated=True),
        _attempt(2, "09:14:21"),
    )  # fmt: skip
    assert _told(status) == (
        "09:00:02          attempt 1 started\n"
        f"09:14:10  +14m08s attempt 1 was lost (infrastructure): {KILLED}\n"
        "                  took 14 min 08 s, cost 3.3920 USD; lost 2 min 44 s of one device, 0.1640 USD\n"
        "                  its end was not observed; the figures are estimated\n"
        "09:14:21  +14m19s attempt 2 started"
    )


def test_a_suspension_by_hand_and_one_by_its_budget() -> None:
    asked = "spec.suspend is true; set it to false to go on from the newest checkpoint"
    budget = (
        "4 of spec.budget.maxCost 4.05 USD is spent, and what is left is what it may cost to save"
    )
    status = _status(
        "PretrainJob",
        _attempt(1, "09:00:00", "09:05:00", outcome="Stopped", reason="Suspended", checkpointStep=120,
                 message="it was stopped because spec.suspend was true"),
        _attempt(2, "10:00:00", "10:11:40", outcome="Stopped", reason="BudgetExceeded", resumedStep=120,
                 checkpointStep=400,
                 message="it was stopped before it would have cost more than spec.budget.maxCost"),
        phase="Suspended",
        conditions=[_condition("Suspended", "10:11:41", "BudgetExceeded", budget)],
    )  # fmt: skip
    events = [
        _event("09:04:58", "Suspended", f"attempt 1 saves and stops: {asked}"),
        _event("09:05:01", "Suspended", asked),
        _event("10:11:30", "BudgetExceeded", f"attempt 2 saves and stops: {budget}"),
        _event("10:11:41", "BudgetExceeded", budget),
    ]
    assert _told(status, events=events, run=_run(), reached={1: 120, 2: 400}) == (
        "09:00:00          attempt 1 started (2 pods, 4 devices)\n"
        "09:05:00   +5m00s attempt 1 was stopped because spec.suspend was true\n"
        "                  took 5 min 00 s, cost 1.2000 USD; nothing of it was lost; the newest checkpoint is that of step 120\n"
        "09:05:01   +5m01s suspended: spec.suspend is true\n"
        "10:00:00   +1h00m attempt 2 started, going on from step 120\n"
        "10:11:40   +1h11m attempt 2 was stopped before it would have cost more than spec.budget.maxCost\n"
        "                  took 11 min 40 s, cost 2.8000 USD; nothing of it was lost; the newest checkpoint is that of step 400\n"
        f"10:11:41   +1h11m suspended: {budget}"
    )


def test_a_failure_that_was_retried_on_request_and_a_damaged_checkpoint() -> None:
    full = "the disk of the store is full; make room"
    status = _status(
        "PretrainJob",
        _attempt(1, "09:00:00", "09:10:00", outcome="Failed", failure="Unknown", reason="DiskFull",
                 message=full, checkpointStep=200, wasted="0.6", forgiven=True),
        _attempt(2, "09:10:10", "09:12:00", outcome="Failed", failure="Unknown", reason="DiskFull",
                 message=full, resumedStep=200, wasted="0.44", forgiven=True),
        _attempt(3, "11:00:02", resumedStep=150, passedOver=1),
        run={"revision": 1, "startedAt": _at("11:00:00")},
    )  # fmt: skip
    exhausted = "attempt 2 failed like those before it, without progress between them: " + full
    events = [
        _event("09:00:00", "Resolving", "revision 1 is resolved into ConfigMap base-ptj-r1"),
        _event("09:10:00", "AttemptFailed", f"attempt 1 ended (DiskFull): {full}", warning=True),
        _event("09:12:01", "AttemptsExhausted", exhausted, warning=True),
    ]
    assert _told(status, events=events) == (
        "09:00:00          attempt 1 started\n"
        f"09:10:00  +10m00s attempt 1 failed (unknown cause): {full}\n"
        "                  took 10 min 00 s, cost 2.4000 USD; lost 10 min 00 s of one device, 0.6000 USD\n"
        "                  forgiven by a retry\n"
        "09:10:10  +10m10s attempt 2 started, going on from step 200\n"
        f"09:12:00  +12m00s attempt 2 failed (unknown cause): {full}\n"
        "                  took 1 min 50 s, cost 0.4400 USD; lost 7 min 20 s of one device, 0.4400 USD\n"
        "                  forgiven by a retry\n"
        "11:00:00   +2h00m tried again on request: the failed attempts before it are forgiven\n"
        "11:00:02   +2h00m attempt 3 started, going on from step 150\n"
        "                  passed over 1 newer checkpoint that cannot be read"
    )


def test_the_stages_of_a_dataset() -> None:
    def stage(name: str, start: str, end: str | None, number: int = 1, **fields: Any) -> Any:
        fields = {"stage": name, "outcome": "Succeeded"} | fields
        return _attempt(number, start, end, **{k: v for k, v in fields.items() if v})

    no_text = "3 of 40 files hold no field 'text'; correct spec.sources[0].uri"
    status = _status(
        "Dataset",
        stage("list", "09:00:00", "09:00:01"),
        stage("clean", "09:00:01", "09:00:08", outcome="Lost", failure="Infrastructure", message=KILLED,
              wasted="0.01"),
        stage("clean", "09:00:09", "09:00:30", number=2),
        stage("dedup", "09:00:30", "09:00:40", outcome="Failed", failure="Data", message=no_text),
        phase="Failed",
        conditions=[_condition("Failed", "09:00:41", "NoText", no_text),
                    _condition("Stalled", "09:00:41", "NoText", no_text)],
    )  # fmt: skip
    events = [
        _event(
            "09:00:01", "Cleaning", "attempt 1 (d-r1-clean-a1) waits for its pods to start: no room"
        ),
        _event("09:00:41", "NoText", no_text, warning=True),
    ]
    assert _told(status, events=events) == (
        "09:00:00          started\n"
        "09:00:01      +1s listed the sources: took 1 s, cost 0.0040 USD\n"
        f"09:00:08      +8s cleaning the documents, attempt 1, was lost (infrastructure): {KILLED}\n"
        "                  took 7 s, cost 0.0280 USD; lost 10 s of one device, 0.0100 USD\n"
        "09:00:30     +30s cleaned the documents (attempt 2): took 21 s, cost 0.0840 USD\n"
        f"09:00:40     +40s looking for copies, attempt 1, failed (the data): {no_text}\n"
        "                  took 10 s, cost 0.0400 USD; nothing of it was lost\n"
        "09:00:41     +41s failed"
    )


def test_a_stage_that_runs() -> None:
    first = _attempt(1, "09:00:00", "09:00:01", stage="list", outcome="Succeeded")
    status = _status("Dataset", first, _attempt(2, "09:00:02", stage="tokenise"))
    assert _told(status).endswith("09:00:02      +2s tokenising (attempt 2)")


def test_what_stalled_and_what_waits_before_anything_ran() -> None:
    waiting = _status("Evaluation", phase="Waiting", run=None)
    events = [
        _event("09:00:00", "WaitingForFineTune",
               "FineTune w is not finished yet (Waiting); PretrainJob b does not exist yet; create it"),
        _event("09:00:05", "WaitingForFineTune", "FineTune w is not finished yet (Running)"),
    ]  # fmt: skip
    assert (
        _told(waiting, events=events) == "09:00:00          waits for FineTune w and PretrainJob b"
    )
    stalled = _status(
        "PretrainJob",
        phase="Stalled",
        conditions=[
            _condition("Stalled", "09:01:00", "NoPool", "no pool has 8 devices; name another")
        ],
    )
    events = [
        _event("09:00:00", "NoPool", "no pool has 16 devices; name another", warning=True),
        _event("09:00:20", "NoPool", "no pool has 8 devices; name another", last="09:01:00", warning=True),
    ]  # fmt: skip
    assert _told(stalled, events=events) == (
        "09:00:00          no pool: no pool has 16 devices\n"
        "09:00:20     +20s no pool: no pool has 8 devices\n"
        "09:01:00    +1m00s cannot go on: no pool has 8 devices; name another"
    ).replace("   +1m00s", "  +1m00s")


def test_an_attempt_that_fails_like_those_before_it() -> None:
    status = _status(
        "FineTune",
        _attempt(1, "09:00:00", "09:01:00", outcome="Failed", failure="OutOfMemory", message="too big"),
        phase="Failed",
        conditions=[_condition("Failed", "09:01:01", "AttemptsExhausted",
                               "attempt 1 failed like those before it: too big")],
    )  # fmt: skip
    assert _told(status).splitlines()[1:] == [
        "09:01:00   +1m00s attempt 1 failed (out of memory): too big",
        "                  took 1 min 00 s, cost 0.2400 USD; nothing of it was lost",
        "09:01:01   +1m01s failed: attempt 1 failed like those before it",
    ]


def test_pods_that_found_no_room_for_a_while() -> None:
    status = _status("PretrainJob", _attempt(1, "09:10:00"))
    why = "attempt 1 (base-ptj-r1-a1) waits for its pods to start: Unschedulable: 0 of 2 slots are free"
    assert _told(status, events=[_event("09:09:58", "Training", why)]).count("\n") == 0
    assert _told(status, events=[_event("09:00:00", "Training", why)]) == (
        "09:00:00          attempt 1 waited for its pods to start: Unschedulable: 0 of 2 slots are free\n"
        "09:10:00  +10m00s attempt 1 started"
    )


def test_of_a_raised_revision_only_its_own_run_is_told() -> None:
    status = _status("PretrainJob", _attempt(1, "12:00:00"), run={"revision": 2})
    events = [
        _event("09:00:00", "WaitingForDataset", "Dataset d is not finished yet (Running)"),
        _event("10:00:00", "Suspended", "spec.suspend is true; set it to false to go on"),
        _event("12:00:30", "Suspended", "spec.suspend is true; set it to false to go on"),
    ]
    assert _told(status, events=events) == (
        "12:00:00          attempt 1 started\n12:00:30     +30s suspended: spec.suspend is true"
    )


def test_the_date_is_told_where_there_are_several() -> None:
    status = _status(
        "PretrainJob",
        _attempt(1, "21:00:00", None),
        phase="Suspended",
        conditions=[{**_condition("Suspended", "21:00:00", "Suspended"),
                     "lastTransitionTime": "2026-11-25T01:30:00Z"}],
    )  # fmt: skip
    lines = story(status)
    east = timezone(timedelta(hours=2))
    assert clock(lines, zone=UTC) == [("Nov 23 21:00:00", ""), ("Nov 25 01:30:00", "+1d04h")]
    assert clock(lines[:1], zone=east) == [("23:00:00", "")]
    assert clock([], zone=UTC) == []


def test_a_resource_that_nobody_looked_at_has_no_story() -> None:
    assert story(Status()) == []


@pytest.mark.parametrize(
    "event",
    [{}, {"reason": None, "message": 7, "firstTimestamp": "x", "lastTimestamp": None},
     {"reason": "WaitingForX", "lastTimestamp": "2026-11-23T09:00:00Z"},
     {"reason": "X", "message": "attempt 99999999999999999999 is", "lastTimestamp": "2026-11-23T09:00:00Z"}],
)  # fmt: skip
def test_events_of_another_form_do_no_harm(event: Object) -> None:
    assert story(_status("PretrainJob", _attempt(1, "09:00:00")), events=[event])[0].text


def test_an_attempt_that_made_no_checkpoint_lost_what_it_did_after_the_one_it_began_with() -> None:
    lost = _attempt(2, "09:00:00", "09:01:00", outcome="Lost", failure="Infrastructure", message=KILLED,
                    resumedStep=300, wasted="0.24")  # fmt: skip
    status = _status("PretrainJob", lost)
    assert story(status, reached={2: 310})[-1].details == (
        (
            "took 1 min 00 s, cost 0.2400 USD; lost 10 steps after step 300, 4 min 00 s of one device, "
            "0.2400 USD"
        ),
    )
