"""A model writes the documents of a synthetic source, from the first request to the last."""

from __future__ import annotations

import io
import json
import threading
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from cupola_api.outcome import FailureClass
from cupola_api.run import GenerateRun
from cupola_api.synthetic import ENDPOINT_KEY, SyntheticSummary
from cupola_trainer import curate, storage
from cupola_trainer.curate.synthetic import asking, endpoint
from cupola_trainer.pod import PodFailure

from .conftest import Reply, completion


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits are noted and not waited for."""
    waits: list[float] = []
    service = endpoint.Service

    def made(run: Any, of: Any, pause: Any) -> Any:
        return service(run, of, lambda seconds: bool(waits.append(seconds)))

    monkeypatch.setattr(asking, "Service", made)
    return waits


def pod(run: GenerateRun, monkeypatch: pytest.MonkeyPatch, share: int = 0) -> Any:
    monkeypatch.setenv("JOB_COMPLETION_INDEX", str(share))
    return curate.main(run, Namespace(stage="generate"))


def generate(run: GenerateRun, monkeypatch: pytest.MonkeyPatch) -> SyntheticSummary:
    for share in range(run.shares):
        outcome = pod(run, monkeypatch, share)
    found = outcome.synthetic
    assert isinstance(found, SyntheticSummary)
    assert found.requests == found.made + found.empty + found.failed
    return found


def written(found: SyntheticSummary) -> list[dict[str, Any]]:
    folder = storage.place_of(found.uri)
    assert isinstance(folder, Path)
    lines = []
    for path in sorted((folder / "documents").iterdir()):
        packed = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), closefd=True)
        with io.TextIOWrapper(packed, encoding="utf-8") as text:
            lines += [json.loads(line) for line in text]
    return lines


def test_every_document_is_asked_about_once_before_any_is_again(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [
        {"name": "plain", "text": "Plainly: {text}"},
        {"name": "quiz", "text": "Ask: {text}", "system": "You teach."},
    ]
    found = generate(make(prompts=prompts), monkeypatch)
    assert (found.documents, found.requests, found.made) == (20, 20, 20)
    assert (found.input_tokens, found.output_tokens, found.cost) == (140, 100, None)
    lines = written(found)
    assert len({line["text"] for line in lines}) == 20
    topics = [line["prompt"].split()[-1] for line in lines]
    assert sorted(topics[:10]) == sorted(topics[10:]) == [f"topic{i}" for i in range(10)]
    by_topic = {(t, line["synthetic"]["prompt"]) for t, line in zip(topics, lines, strict=True)}
    assert len(by_topic) == 20, "the second time with the other prompt"
    assert lines[0]["synthetic"]["model"] == "toy"
    quiz = [body for body in service.asked if len(body["messages"]) == 2]
    assert len(quiz) == 10
    assert quiz[0]["messages"][0] == {"role": "system", "content": "You teach."}
    assert {(b["max_tokens"], b["temperature"], b["top_p"]) for b in service.asked} == {(50, 1, 1)}


def test_the_same_text_comes_of_any_number_of_pods_and_order(
    make: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = generate(make(), monkeypatch)
    monkeypatch.setattr("cupola_api.run._ANSWERS_A_POD", 6)
    run = make(output=(tmp_path / "other").as_uri())
    assert run.shares == 4
    for share in (2, 0, 3):
        outcome = pod(run, monkeypatch, share)
        assert outcome.synthetic is None
        assert outcome.worked.documents == 5
        assert outcome.worked.bytes > 5 * len("About topic0, number 0.")
    apart = pod(run, monkeypatch, 1).synthetic
    assert written(apart) == written(whole)


def test_a_finished_run_is_not_asked_for_again(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = generate(make(), monkeypatch)
    asked = len(service.asked)
    assert generate(make(), monkeypatch) == first
    assert len(service.asked) == asked


def test_after_a_failure_only_what_is_missing_is_asked_for(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = service.reply
    service.reply = lambda body, before: (
        good(body, before) if len(service.asked) <= 8 else Reply(status=401)
    )
    with pytest.raises(PodFailure) as failed:
        generate(make(concurrency=1), monkeypatch)
    assert (failed.value.reason, failed.value.failure) == ("EndpointRefused", FailureClass.USER)
    service.reply = good
    service.asked.clear()
    assert generate(make(concurrency=1), monkeypatch).made == 20
    assert len(service.asked) == 12


def test_another_run_takes_the_answers_that_there_are(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(make(documents=10), monkeypatch)
    service.asked.clear()
    found = generate(make(documents=16, budget_tokens=100_000), monkeypatch)
    assert found.made == 16
    assert len(service.asked) == 6
    prompts = [{"name": "other", "text": "Otherwise: {text}"}]
    service.asked.clear()
    generate(make(prompts=prompts), monkeypatch)
    assert len(service.asked) == 20


def test_the_key_goes_to_the_endpoint_and_nowhere_else(
    make: Any,
    service: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    key = "sk-of-this-test-alone"
    monkeypatch.setenv(ENDPOINT_KEY, f"{key}\n")
    outcome = generate(make(), monkeypatch)
    assert set(service.keys) == {f"Bearer {key}"}
    service.reply = lambda *_: Reply(401, json.dumps({"error": {"message": key}}).encode())
    with pytest.raises(PodFailure) as failed:
        generate(make(seed=1), monkeypatch)
    said = [failed.value.message, outcome.model_dump_json(), *capfd.readouterr()]
    packed = zstandard.ZstdDecompressor()
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            text = packed.decompress(data) if path.name == "answers.jsonl.zst" else data
            said.append(text.decode(errors="replace"))
    assert not [one for one in said if key in one]


def test_empty_and_cut_off_answers_are_counted(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [completion(" \n"), completion(None), completion("so", "length"), completion("yes")]
    service.reply = lambda *_: answers[len(service.asked) % 4]
    found = generate(make(concurrency=1), monkeypatch)
    assert (found.empty, found.made, found.truncated, found.failed) == (10, 10, 5, 0)
    truncated = [line["synthetic"]["truncated"] for line in written(found)]
    assert sum(truncated) == 5


def test_faults_that_pass_cost_a_try_and_no_document(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch, impatient: list[float]
) -> None:
    faults = [
        Reply(429, headers={"Retry-After": "17"}),
        Reply(503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Reply(500),
        Reply(cut=True, body=b'{"choi'),
        Reply(body=b"<html>no</html>"),
        Reply(body=b'{"choices": []}'),
        Reply(body=json.dumps({"choices": [{"message": {"content": [1]}}]}).encode()),
        completion("\ud800"),
    ]
    good = service.reply
    lock, hurt = service.lock, iter(faults)

    def reply(body: dict[str, Any], before: int) -> Reply:
        with lock:
            fault = next(hurt, None) if before == 0 else None
        return fault or good(body, before)

    service.reply = reply
    assert generate(make(), monkeypatch).made == 20
    assert len(service.asked) == 20 + len(faults)
    assert len(impatient) == len(faults)
    assert impatient.count(17.0) == 1
    assert all(wait <= 1 for wait in impatient if wait != 17)


def test_an_endpoint_that_hangs_is_asked_again(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = service.reply
    first = []

    def reply(body: dict[str, Any], before: int) -> Reply:
        with service.lock:
            hangs = not first and not before
            first.append(body)
        return Reply(hang=True) if hangs else good(body, before)

    service.reply = reply
    run = make(documents=4, endpoint={"url": service.url, "model": "toy", "timeout": "1s"})
    monkeypatch.setattr("cupola_api.quantities.seconds", lambda text: 0.2)
    assert generate(run, monkeypatch).made == 4
    assert len(service.asked) == 5


def test_a_request_that_is_never_answered_well_is_counted_as_failed(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = service.reply
    status = {"topic3": 400, "topic5": 500, "topic7": 413}
    service.reply = lambda body, before: (
        Reply(status[topic])
        if (topic := body["messages"][-1]["content"].split()[-1]) in status
        else good(body, before)
    )
    found = generate(make(), monkeypatch)
    assert (found.requests, found.made, found.failed) == (20, 14, 6)
    assert len(service.asked) == 14 + 4 + 2 * endpoint.TRIES


@pytest.mark.parametrize(
    ("reply", "then"),
    [
        (Reply(401), ("EndpointRefused", FailureClass.USER)),
        (Reply(402), ("EndpointRefused", FailureClass.USER)),
        (
            Reply(429, b'{"error": {"code": "insufficient_quota"}}'),
            ("EndpointRefused", FailureClass.USER),
        ),
        (Reply(404), ("EndpointUnknown", FailureClass.USER)),
        (
            Reply(307, headers={"Location": "http://127.0.0.1:1/v1"}),
            ("EndpointUnknown", FailureClass.USER),
        ),
        (Reply(500), ("EndpointFailed", FailureClass.INFRASTRUCTURE)),
        (Reply(body=b"[]"), ("EndpointFailed", FailureClass.INFRASTRUCTURE)),
        (completion(""), ("NothingMade", FailureClass.DATA)),
    ],
)
def test_an_endpoint_of_no_use_is_a_failure_that_says_whose_move_it_is(
    make: Any,
    service: Any,
    monkeypatch: pytest.MonkeyPatch,
    reply: Reply,
    then: tuple[str, FailureClass],
) -> None:
    service.reply = lambda *_: reply
    with pytest.raises(PodFailure) as failed:
        generate(make(), monkeypatch)
    assert (failed.value.reason, failed.value.failure) == then


def test_an_endpoint_that_is_not_there_is_a_failure(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(endpoint={"url": "http://127.0.0.1:9/v1", "model": "toy"})
    with pytest.raises(
        PodFailure, match=r"failed 20 requests in a row \(20 with no answer"
    ) as failed:
        generate(run, monkeypatch)
    assert failed.value.failure is FailureClass.INFRASTRUCTURE


def test_an_outage_forgets_no_answer_and_counts_none_of_it(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = service.reply
    service.reply = lambda body, before: (
        good(body, before) if len(service.asked) <= 5 else Reply(503)
    )
    monkeypatch.setattr(asking, "IN_A_ROW", 4)
    with pytest.raises(PodFailure, match="status 503"):
        generate(make(concurrency=1), monkeypatch)
    service.reply = good
    service.asked.clear()
    found = generate(make(concurrency=1), monkeypatch)
    assert (found.made, found.failed, len(service.asked)) == (20, 0, 15)


def test_refusals_stop_a_share_only_as_long_as_nothing_has_gone_well(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "IN_A_ROW", 4)
    good = service.reply
    service.reply = lambda *_: Reply(400, b'{"error": {"code": "too_long"}}')
    with pytest.raises(PodFailure) as failed:
        generate(make(concurrency=1), monkeypatch)
    assert (failed.value.reason, failed.value.failure) == ("RequestsRefused", FailureClass.USER)
    assert "refused the first 4 requests (4 with status 400, too_long)" in failed.value.message
    first = service.asked[0]
    service.reply = lambda body, before: good(body, before) if body == first else Reply(400)
    found = generate(make(concurrency=1), monkeypatch)
    assert (found.made, found.failed) == (1, 19)
    assert found.input_tokens == 7


def test_a_refusal_between_requests_without_an_answer_shows_that_the_endpoint_is_there(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "IN_A_ROW", 3)
    monkeypatch.setattr(endpoint, "TRIES", 1)
    good = service.reply

    def reply(body: dict[str, Any], before: int) -> Reply:
        number = len(service.asked)
        return good(body, before) if number == 1 else Reply(400 if number % 3 == 0 else 500)

    service.reply = reply
    found = generate(make(concurrency=1), monkeypatch)
    assert (found.made, found.failed) == (1, 19)


def test_refused_requests_use_up_no_budget_and_are_asked_for_again_by_another_run(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = service.reply
    topics = [f"topic{i}" for i in range(8)]
    service.reply = lambda body, before: (
        Reply(400) if body["messages"][-1]["content"].split()[-1] in topics else good(body, before)
    )
    found = generate(make(budget_tokens=1200, concurrency=1), monkeypatch)
    assert (found.made, found.failed, found.budget_used_up) == (4, 16, False)
    service.asked.clear()
    service.reply = good
    assert generate(make(), monkeypatch).made == 20
    assert len(service.asked) == 16


def test_answers_that_arrive_beside_a_refusal_of_the_key_are_kept(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, refused = service.reply, threading.Event()

    def reply(body: dict[str, Any], before: int) -> Reply:
        with service.lock:
            first = body == service.asked[0]
        if first:
            refused.set()
            return Reply(401)
        refused.wait(10)
        return good(body, before)

    service.reply = reply
    with pytest.raises(PodFailure, match="refuses to answer"):
        generate(make(concurrency=4), monkeypatch)
    service.reply = good
    asked = len(service.asked)
    service.asked.clear()
    assert generate(make(), monkeypatch).made == 20
    assert len(service.asked) == 20 - (asked - 1)


def test_headers_that_trickle_do_not_outlast_the_timeout(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = service.reply
    service.reply = lambda body, before: good(body, before) if before else Reply(trickle=True)
    monkeypatch.setattr("cupola_api.quantities.seconds", lambda text: 0.3)
    found = generate(make(documents=2), monkeypatch)
    assert (found.made, len(service.asked)) == (2, 4)


@pytest.mark.parametrize("fields", [{"budget_tokens": 1000}, {"budget_cost": "0.005"}])
def test_a_budget_is_never_exceeded_and_the_stage_ends_with_what_is_there(
    make: Any,
    service: Any,
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, Any],
) -> None:
    price = {"input_per_million": "2", "output_per_million": "6"}
    of = {"url": service.url, "model": "toy", "price": price}
    service.reply = lambda *_: completion("A text.", read=40, written=50)
    found = generate(make(endpoint=of, documents=60, **fields), monkeypatch)
    assert found.budget_used_up
    assert 0 < found.made == found.requests < 60
    spent = found.made * (40 * 2 + 50 * 6) / 1_000_000
    assert float(found.cost or 0) == pytest.approx(spent)
    used = found.input_tokens + found.output_tokens
    assert used <= 1000 if "budget_tokens" in fields else spent <= 0.005
    more = generate(make(endpoint=of, documents=60, budget_tokens=100_000), monkeypatch)
    assert (more.made, more.budget_used_up) == (60, False)
    assert len(service.asked) == 60, "what was paid for is not asked for again"


def test_a_budget_needs_an_endpoint_that_says_what_is_used(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.reply = lambda *_: Reply(body=b'{"choices": [{"message": {"content": "text"}}]}')
    assert generate(make(), monkeypatch).output_tokens == 0
    says = r"neither a budget nor what it costs can be known; leave synthetic\.budget and"
    with pytest.raises(PodFailure, match=says):
        generate(make(budget_tokens=10_000, seed=1), monkeypatch)
    half = {"choices": [{"message": {"content": "text"}}], "usage": {"prompt_tokens": 7}}
    service.reply = lambda *_: Reply(body=json.dumps(half).encode())
    price = {"input_per_million": "2", "output_per_million": "6"}
    with pytest.raises(PodFailure, match=says) as failed:
        generate(make(endpoint={"url": service.url, "model": "t", "price": price}), monkeypatch)
    assert failed.value.failure is FailureClass.USER


def test_seeds_that_change_while_it_is_written_are_noticed(
    make: Any, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cupola_api.run._ANSWERS_A_POD", 10)
    run = make()
    pod(run, monkeypatch, 0)
    (documents / "b.jsonl").write_text('{"text": "one more"}\n')
    with pytest.raises(PodFailure, match="changed while it was written") as failed:
        pod(run, monkeypatch, 1)
    assert failed.value.failure is FailureClass.INFRASTRUCTURE
    assert generate(run, monkeypatch).made == 20


def test_a_source_without_documents_cannot_be_asked_about(
    make: Any, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (documents / "a.jsonl").write_text('{"body": "no text"}\n{"text": "  "}\n')
    with pytest.raises(PodFailure, match="source pages holds none") as failed:
        pod(make(), monkeypatch)
    assert failed.value.failure is FailureClass.DATA


def test_long_documents_are_cut(make: Any, service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make()
    short = make(seeds=run.seeds.model_copy(update={"max_characters": 6}).model_dump())
    generate(short, monkeypatch)
    assert {body["messages"][0]["content"] for body in service.asked} == {
        "Say it in plain words: A page"
    }


def test_answers_lie_in_a_bucket_too(
    make: Any, service: Any, monkeypatch: pytest.MonkeyPatch, bucket: str
) -> None:
    run = make(output=bucket, documents=6)
    found = generate(run, monkeypatch)
    assert found.made == 6
    service.asked.clear()
    assert generate(make(output=bucket, documents=8), monkeypatch).made == 8
    assert len(service.asked) == 2
