"""`cupola logs`: what the pods of a resource printed, also of pods that are gone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from cupola_api.common import Phase
from cupola_api.kinds import KINDS
from cupola_operator import names
from cupola_operator.children import Resolved
from cupola_operator.cli import workdir as work
from cupola_operator.cluster import Object, key_of

"""Stages of a Dataset, in their order."""

_POLL_SECONDS = 1.0
_ENDED = {Phase.SUCCEEDED, Phase.FAILED, Phase.STALLED, Phase.SUSPENDED}
_SHORT = "|".join(kind.short for kind in KINDS.values())
_LOG = re.compile(
    rf"(?P<job>.+-(?:{_SHORT})-r(?P<revision>\d+)(?:-(?P<stage>[a-z]+))?-a(?P<attempt>\d+))-"
    r"(?:(?P<role>master|worker)-(?P<node>\d+)|(?P<index>\d+)-[a-z0-9]+)"
)
_RANK = re.compile(r"\[[A-Za-z_]+(?P<rank>\d+)\]:")
"""What torchrun puts before the lines of a rank of its node: `[default0]:`."""


def logs(
    name: Annotated[str, typer.Argument(metavar="[KIND/]NAME", help="The resource.")],
    *,
    rank: Annotated[
        int | None,
        typer.Option(min=0, help="One rank of a training, or one part of a Dataset's stage."),
    ] = None,
    attempt: Annotated[
        int | None, typer.Option(min=1, help="An attempt; the newest by default.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="A stage of a Dataset, such as clean; all by default.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the resource has ended or is held.")
    ] = False,
    namespace: work.Namespace = "default",
    workdir: work.Option = work.DEFAULT,
) -> None:
    """Print what the pods of a resource printed, of the newest revision."""
    with work.sentences():
        resource = work.Workdir(workdir).resolve(name, namespace)
        follower = _Follower(workdir, resource, rank=rank, attempt=attempt, stage=stage)
        while not follower.read(final=not follow):
            time.sleep(_POLL_SECONDS)
        if not follower.found:
            raise work.NotThere(_nothing(work.Workdir(workdir), resource, attempt, stage, rank))


class PodLog(NamedTuple):
    """The log of a pod and what its name says."""

    path: Path
    revision: int
    stage: str
    attempt: int
    member: int
    """Node rank of a training, part of a stage."""

    @property
    def label(self) -> str:
        """What tells it from the other logs of its resource: `clean-a1-3`."""
        return f"{self.stage}-a{self.attempt}-{self.member}".lstrip("-")


def of_resource(kind: str, name: str, paths: Sequence[Path]) -> list[PodLog]:
    """Those of `paths` that are logs of the resource's pods, in the order of their attempts."""
    found = []
    for path in paths:
        match = _LOG.fullmatch(path.stem)
        if match is None:
            continue
        revision, attempt = int(match["revision"]), int(match["attempt"])
        stage = match["stage"] or ""
        jobs = {
            names.training_job(kind, name, revision, attempt),
            names.job(kind, name, revision, stage or None, attempt),
        }
        if match["job"] in jobs:
            member = int(match["node"] or match["index"]) + (match["role"] == "worker")
            found.append(PodLog(path, revision, stage, attempt, member))
    return sorted(found, key=lambda log: (*_order(log), log.path.name))


def _order(log: PodLog) -> tuple[int, int, int, int]:
    stages = names.STAGES
    stage = stages.index(log.stage) if log.stage in stages else len(stages)
    return log.revision, stage, log.attempt, log.member


def select(
    found: Sequence[PodLog],
    *,
    member: int | None = None,
    attempt: int | None = None,
    stage: str | None = None,
) -> list[PodLog]:
    """Logs of the newest revision; of each stage those of its newest attempt, or of `attempt`."""
    newest = max((log.revision for log in found), default=0)
    of = [log for log in found if log.revision == newest and stage in (None, log.stage)]
    last = {log.stage: log.attempt for log in of}
    return [
        log
        for log in of
        if log.attempt == (attempt or last[log.stage]) and member in (None, log.member)
    ]


def lines_of_rank(lines: Sequence[str], rank: int) -> list[str]:
    """The lines of one local rank, without their prefix."""
    matches = [(line, _RANK.match(line)) for line in lines]
    return [line[m.end() :] for line, m in matches if m and int(m["rank"]) == rank]


class _Follower:
    """Prints what is new in the logs that were asked for, each time `read` is called."""

    def __init__(
        self,
        folder: Path,
        resource: Object,
        *,
        rank: int | None,
        attempt: int | None,
        stage: str | None,
    ) -> None:
        self.found = False
        self._folder = folder
        self._key = key_of(resource)
        self._rank = rank
        self._attempt = attempt
        self._stage = stage
        self._tails: dict[Path, _Tail] = {}

    def read(self, *, final: bool) -> bool:
        """Print what is new; returns whether nothing more is to come.

        `final`: nothing more is waited for, as is so when the resource has ended.
        """
        objects = work.Workdir(self._folder)
        resource = objects.get(*self._key)
        phase = ((resource or {}).get("status") or {}).get("phase")
        final = final or resource is None or phase in _ENDED
        member, local = self._place(objects)
        paths = sorted((self._folder / "logs" / self._key.namespace).glob("*.log"))
        found = select(
            of_resource(self._key.kind, self._key.name, paths),
            member=member,
            attempt=self._attempt,
            stage=self._stage,
        )
        for log in found:
            tail = self._tails.setdefault(log.path, _Tail(log.path, local))
            several = len(found) > 1 or len(self._tails) > 1
            for line in tail.lines(final=final):
                typer.echo(f"[{log.label}] {line}" if several else line)
        self.found = self.found or bool(found)
        return final

    def _place(self, objects: work.Workdir) -> tuple[int | None, int | None]:
        """The pod's index and, of a training, the local rank in it, that hold the rank asked for."""
        if self._rank is None or self._key.kind not in ("PretrainJob", "FineTune"):
            return self._rank, None
        per_node = 1
        for value in objects.objects("ConfigMap", self._key.namespace):
            resolved = Resolved.of(value)
            run = resolved.run if resolved else None
            mine = getattr(run, "name", "") == self._key.name
            if mine and run and run.kind in ("PretrainRun", "FineTuneRun"):
                per_node = run.world.gpus_per_node
        return self._rank // per_node, self._rank % per_node


_CHUNK = 1 << 20


class _Tail:
    """Reads a log that grows, whole lines at a time; of one local rank where one is asked for."""

    def __init__(self, path: Path, rank: int | None) -> None:
        self._path = path
        self._rank = rank
        self._position = 0
        self._rest = b""
        self._told_apart = False

    def lines(self, *, final: bool) -> Iterator[str]:
        """The lines since the last call; `final`: also one that is not ended yet."""
        yield from self._new(final=final)
        if final and self._rank is not None and not self._told_apart:
            typer.echo(f"{self._path.name} does not tell ranks apart; all of it:", err=True)
            self._position, self._rank = 0, None
            yield from self._new(final=True)

    def _new(self, *, final: bool) -> Iterator[str]:
        with self._path.open("rb") as file:
            file.seek(self._position)
            while data := file.read(_CHUNK):
                self._position += len(data)
                *whole, self._rest = (self._rest + data).split(b"\n")
                yield from self._mine(whole)
        if final and self._rest:
            last, self._rest = self._rest, b""
            yield from self._mine([last])

    def _mine(self, whole: Sequence[bytes]) -> list[str]:
        lines = [line.decode(errors="replace") for line in whole]
        if self._rank is None:
            return lines
        self._told_apart = self._told_apart or any(_RANK.match(line) for line in lines)
        return lines_of_rank(lines, self._rank)


def _nothing(
    objects: work.Workdir,
    resource: Object,
    attempt: int | None,
    stage: str | None,
    rank: int | None,
) -> str:
    """Why there is nothing to print."""
    key = key_of(resource)
    paths = sorted((objects.folder / "logs" / key.namespace).glob("*.log"))
    found = of_resource(key.kind, key.name, paths)
    if not found:
        phase = (resource.get("status") or {}).get("phase", Phase.PENDING)
        return f"{key} has no logs yet: no pod of it has started, it is {phase}"
    there = ", ".join(dict.fromkeys(f"{log.stage} attempt {log.attempt}".strip() for log in found))
    asked = [
        f"--{option} {value}"
        for option, value in (("stage", stage), ("attempt", attempt), ("rank", rank))
        if value is not None
    ]
    return f"{key} has no logs for {' '.join(asked)}; there are logs of {there}"
