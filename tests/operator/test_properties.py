"""What holds for any world, also for one that no order of events has made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_api import metrics
from cupola_api.artifact import digest_of
from cupola_api.common import Artifact, Attempt, Phase, PodTime, Progress, RunStatus
from cupola_api.dataset import DatasetSummary
from cupola_api.outcome import FailureClass, Listing, Outcome, OutcomeKind
from cupola_operator.children import Job, Pod, Resolved, text_of
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import Create, Delete, Enter, decide
from cupola_operator.resources import STATUS

ARTIFACT = Artifact(uri="file:///data/a", digest=digest_of("a"), bytes=1)
LISTING = Listing(uri="file:///data/l", digest=digest_of("l"), parts=2, files=1, bytes=1)
SUMMARY = DatasetSummary(
    documents_read=1,
    documents_kept=1,
    tokens=1,
    validation_tokens=1,
    vocabulary=512,
    tokenizer_digest=digest_of("tokenizer"),
)
STAGES = {
    "Dataset": ["list", "clean", "dedup", "tokenise", "publish"],
    "PretrainJob": ["pretrain"],
    "FineTune": ["finetune"],
    "Evaluation": ["evaluate"],
}
TASK = {"input": "q", "output": "a"}

outcomes = st.builds(
    Outcome,
    outcome=st.sampled_from(OutcomeKind),
    reason=st.sampled_from(["Because", "Stopped", "OutOfMemory"]),
    failure=st.none() | st.sampled_from(FailureClass),
    step=st.none() | st.integers(0, 100),
    artifact=st.none() | st.just(ARTIFACT),
    listing=st.none() | st.just(LISTING),
    dataset=st.none() | st.just(SUMMARY),
)


@st.composite
def worlds(draw: Any, kit: Any) -> Any:
    """A world as no order of events has to have made it."""
    kind = draw(st.sampled_from(sorted(STAGES)))
    cluster = kit.Cluster()
    others = [("Dataset", "data"), ("PretrainJob", "base"), ("FineTune", "tuned")]
    for other in others:
        if other[0] == kind:
            continue
        state = draw(st.sampled_from(["done", "done", "done", "missing", "pending"]))
        task = {"task": TASK} if other[0] == "Dataset" else {}
        if state != "missing":
            make = kit.done if state == "done" else kit.resource
            cluster.create(make(*other, **task))
    key = key_of(cluster.create(kit.resource(kind, revision=draw(st.integers(1, 2)))))
    seen = kit.world(cluster, key)
    times = st.none() | st.integers(-600, 0).map(lambda s: kit.START + kit.seconds(s))
    stage = st.sampled_from(STAGES[kind])
    revision = st.sampled_from([seen.revision] * 5 + [9])
    jobs = [
        Job(
            key=Key(
                "Job" if kind in ("Dataset", "Evaluation") else "PyTorchJob", "default", f"j{i}"
            ),
            uid=f"j{i}",
            revision=draw(revision),
            stage=draw(stage),
            attempt=draw(st.integers(1, 4)),
            complete=draw(st.booleans()),
            failed=draw(st.booleans()),
            deleting=draw(st.booleans()),
        )
        for i in range(draw(st.integers(0, 2)))
    ]
    pods = [
        Pod(
            name=f"p{i}",
            uid=f"p{i}",
            owner=draw(st.sampled_from([job.uid for job in jobs] + ["gone"])),
            revision=draw(revision),
            stage=draw(stage),
            attempt=draw(st.integers(1, 4)),
            gpus=draw(st.integers(0, 8)),
            master=draw(st.booleans()),
            terminal=draw(st.booleans()),
            started=draw(times),
            finished=draw(times),
            exit_code=draw(st.none() | st.sampled_from([0, 1, 137, 143])),
            outcome=draw(st.none() | outcomes),
            by_node=draw(st.booleans()),
            gone_by=draw(times),
            waiting=draw(st.sampled_from(["", "ImagePullBackOff"])),
        )
        for i in range(draw(st.integers(0, 3)))
    ]
    attempts = [
        Attempt(
            number=i + 1,
            name=f"a{i + 1}",
            stage=draw(stage) if kind == "Dataset" else None,
            pods=draw(
                st.lists(
                    st.sampled_from([p.uid for p in pods] + ["x"]), max_size=2, unique=True
                ).map(lambda uids: [PodTime(uid=uid) for uid in uids])
            ),
            gpu_seconds=str(draw(st.integers(0, 1000))),
            started_at=draw(times.map(lambda t: t and text_of(t))),
            ended_at=draw(times.map(lambda t: t and text_of(t))),
            outcome=draw(st.sampled_from([None, "Failed", "Lost", "Stopped", "Succeeded"])),
            failure=draw(st.none() | st.sampled_from(FailureClass)),
            forgiven=draw(st.booleans()),
            reason=draw(st.sampled_from(["Because", "Stopped"])),
            checkpoint_step=draw(st.none() | st.integers(0, 100)),
        )
        for i in range(draw(st.integers(0, 3)))
    ]
    status: dict[str, Any] = {
        "phase": draw(st.sampled_from(Phase)),
        "run": draw(st.sampled_from([None, RunStatus(revision=1), RunStatus(revision=2)])),
        "attempts": attempts,
        "artifact": draw(st.sampled_from([None, None, ARTIFACT])),
        "progress": draw(st.sampled_from([None, Progress(fraction=0.5)])),
    }
    if kind == "Dataset" and draw(st.booleans()):
        status |= {"listing": LISTING.uri, "inputs_digest": LISTING.digest, "parts": 2}
    resolved = {}
    for _ in range(draw(st.integers(0, 2))):
        for action in decide(replace(seen, runs=resolved)).actions:
            if isinstance(action, Create) and action.value["kind"] == "ConfigMap":
                name = action.value["metadata"]["name"]
                broken = draw(st.integers(0, 9)) == 0
                resolved[name] = None if broken else Resolved.of(action.value)
    values = st.floats(allow_nan=False, allow_infinity=False)
    return replace(
        seen,
        jobs=tuple(jobs),
        pods=tuple(pods),
        runs=resolved,
        status=STATUS[kind]().model_copy(update=status),
        metrics=draw(st.dictionaries(st.sampled_from(sorted(metrics.HELP)), values)),
    )


def applied(world: Any, decision: Any) -> Any:
    """The world after a decision was acted on, in which time stands still."""
    jobs, runs, pods = list(world.jobs), dict(world.runs), list(world.pods)
    for action in decision.actions:
        if isinstance(action, Enter):
            continue
        if isinstance(action, Delete):
            jobs = [job for job in jobs if job.uid != action.uid]
            pods = [pod for pod in pods if pod.owner != action.uid]
        elif action.value["kind"] == "ConfigMap":
            runs[action.value["metadata"]["name"]] = Resolved.of(action.value)
        elif key_of(action.value) not in [job.key for job in jobs]:
            value = action.value
            uid = value["metadata"]["name"]
            jobs.append(Job.of({**value, "metadata": {**value["metadata"], "uid": uid}}))
    return replace(
        world, jobs=tuple(jobs), pods=tuple(pods), runs=runs, status=decision.status or world.status
    )


@given(data=st.data())
@settings(max_examples=300)
def test_any_world_is_decided_and_the_decision_is_safe(kit: Any, data: Any) -> None:
    world = data.draw(worlds(kit))
    decision = decide(world)
    assert decide(world) == decision
    assert decision.status
    assert decision.status == type(decision.status).model_validate(decision.status.to_json())
    assert {"Ready", "Reconciling", "Stalled"} <= {c.type for c in decision.status.conditions}
    created = [a.value for a in decision.actions if isinstance(a, Create)]
    assert len(created) <= 1
    for value in created:
        if value["kind"] == "ConfigMap":
            continue
        new = Job.of({**value, "metadata": {**value["metadata"], "uid": "new"}})
        rivals = [j for j in world.jobs if j.stage == new.stage and j.revision == new.revision]
        lively = [
            p
            for p in world.pods
            if (p.stage, p.revision) == (new.stage, new.revision) and p.lingers(world.now)
        ]
        assert rivals == []
        assert lively == []
    if decision.status.phase is Phase.SUCCEEDED:
        assert decision.status.artifact or world.status.phase is Phase.SUCCEEDED


@given(data=st.data())
@settings(max_examples=150)
def test_deciding_again_and_again_comes_to_rest(kit: Any, data: Any) -> None:
    world = data.draw(worlds(kit))
    for _ in range(40):
        decision = decide(world)
        after = applied(world, decision)
        if after == world:
            return
        world = after
    raise AssertionError("it never comes to rest")
