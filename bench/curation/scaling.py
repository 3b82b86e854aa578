"""What two pods of a core each save beside one: the wall time of a Dataset's stages, and their CPU.

    python bench/curation/scaling.py [--every 1] [--folder FOLDER] [--rounds 1]

The corpus of `compare.py` (`.cupola/bench/corpus`) with quality, private data and near-dedup; the
tokenizer is trained. Each pod is a process of its own, held to one core, as many at a time as there
are pods; a stage begins when the one before has ended. Prints, by stage, the seconds of CPU of all
its pods, and the time that one pod and two take: by CPU time (`path`: pods go in order to the core
that is free first), and by the clock (`wall`). On a busy machine only the first means something.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from cupola_api.run import CurateRun, ListRun, dump

from compare import FOLDER, ONE_CORE, take  # isort: skip
from ours import CHAIN, VOCABULARY  # isort: skip

BOUND = 1.8
_ONLY_MATCH = "from cupola_trainer.curate import work; work.are_there = lambda *_: False"
"""A pod of `dedup` that finds another range missing does not decide."""


class Stage(NamedTuple):
    """What the pods of a stage took."""

    name: str
    cpu: list[float]
    """Seconds, of each."""
    wall: float
    """Seconds, of all."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--every", type=int, default=1, help="take each Nth document")
    parser.add_argument("--folder", type=Path, help="for the work, instead of TMPDIR")
    parser.add_argument("--rounds", type=int, default=1, help="of one pod, then two")
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        size = take(FOLDER / "corpus", Path(scratch) / "all", asked.every)
        files = split(Path(scratch) / "all" / "documents.jsonl", Path(scratch) / "files")
        print(f"{size / 1e6:.0f} MB of text")
        for number in range(asked.rounds):
            found = {}
            for pods in range(1, len(cores) + 1):
                out = Path(scratch) / f"out-{number}-{pods}"
                found[pods] = chain(files, out, cores[:pods])
                said = ", ".join(f"{one:.1f}" for one in os.getloadavg())
                print(f"{pods} at a time: load of the machine {said}", flush=True)
            show(found)


def split(documents: Path, folder: Path) -> Path:
    """The documents in files of 8 MB, so that parts are alike; returns the folder."""
    folder.mkdir()
    with documents.open("rb") as lines:
        number = 0
        while some := lines.readlines(8_000_000):
            (folder / f"{number:04d}.jsonl").write_bytes(b"".join(some))
            number += 1
    documents.unlink()
    return folder


def chain(source: Path, output: Path, cores: list[int]) -> list[Stage]:
    """Curate with a pod on each of `cores`."""
    output.mkdir()
    common = {
        "namespace": "bench",
        "name": "scaling",
        "output": output.as_uri(),
        "sources": [{"name": "corpus", "uri": source.as_uri(), "format": "Jsonl"}],
    }
    (output / "list.yaml").write_text(dump(ListRun.model_validate(common)))
    stages = [stage("list", 1, cores, lambda core, _: pod(output / "list.yaml", "list", 0, core))]
    said = json.loads((output / "list.yaml.0.said").read_text())["listing"]
    run = CurateRun.model_validate(
        {
            **common,
            "listing": said["uri"],
            "listing_digest": said["digest"],
            "parts": said["parts"],
            "curation": CHAIN,
            "validation": 0.01,
            "seed": 0,
            "documents": True,
            "vocab_size": VOCABULARY,
        }
    )
    file = output / "run.yaml"
    file.write_text(dump(run))
    kinds = {
        "clean": ("clean", run.parts, ""),
        "match": ("dedup", run.ranges, _ONLY_MATCH),
        "decide": ("dedup", 1, ""),
        "tokenise": ("tokenise", run.parts, ""),
        "publish": ("publish", 1, ""),
    }
    for name, (kind, count, before) in kinds.items():

        def work(core: int, part: int, kind: str = kind, before: str = before) -> float:
            return pod(file, kind, part, core, before)

        stages.append(stage(name, count, cores, work))
    return stages


def stage(name: str, count: int, cores: list[int], work: Callable[[int, int], float]) -> Stage:
    """Do all parts of a stage, one on each core at a time."""
    free = list(cores)

    def one(part: int) -> float:
        core = free.pop()
        try:
            return work(core, part)
        finally:
            free.append(core)

    begun = time.monotonic()
    with ThreadPoolExecutor(len(cores)) as pool:
        cpu = list(pool.map(one, range(count)))
    return Stage(name, cpu, time.monotonic() - begun)


def pod(run: Path, stage: str, part: int, core: int, before: str = "") -> float:
    """Run a pod to its end on one core; its seconds of CPU."""
    said = Path(f"{run}.{part}.said")
    code = f"import os; os.sched_setaffinity(0, {{{core}}}); {before}\n"
    code += "import sys; from cupola_trainer.command import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "curate", str(run), "--stage", stage],
        env={
            **os.environ,
            **ONE_CORE,
            "JOB_COMPLETION_INDEX": str(part),
            "TERMINATION_LOG": str(said),
        },
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"stage {stage} failed: {said.read_text()}")
    return used.ru_utime + used.ru_stime


def path(cpu: list[float], pods: int) -> float:
    """When the last of a stage's pods ends, if they are handed out in order."""
    ends = [0.0] * pods
    for seconds in cpu:
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends)


def show(found: dict[int, list[Stage]]) -> None:
    """A line for each stage, and the ratio of one pod to two."""
    pods = max(found)
    titles = ["CPU, s", *(f"path, {n}" for n in found), *(f"wall, {n}" for n in found)]
    print("".join([f"{'stage':12}", *(f"{title:>10}" for title in titles)]))
    totals = [0.0] * len(titles)
    for number, one in enumerate(found[1]):
        figures = [
            sum(one.cpu),
            *(path(one.cpu, n) for n in found),
            *(found[n][number].wall for n in found),
        ]
        totals = [total + figure for total, figure in zip(totals, figures, strict=True)]
        print(f"{one.name:12}" + "".join(f"{figure:10.1f}" for figure in figures))
    print(f"{'all':12}" + "".join(f"{total:10.1f}" for total in totals))
    _, *rest = totals
    paths, walls = rest[: len(found)], rest[len(found) :]
    print(f"{pods} pods are {paths[0] / paths[-1]:.2f} times one by CPU time, ", end="")
    print(f"{walls[0] / walls[-1]:.2f} by wall time; at least {BOUND} is wanted")


if __name__ == "__main__":
    main()
