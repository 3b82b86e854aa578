"""The loader of pretraining: tokens a second of a core, and what it takes to start.

    .venv/bin/python bench/loader.py

Makes 256M tokens below TMPDIR and reads them as training does, in place and from the local cache of
a bucket; beside it a loop over a numpy.memmap that knows its order already. Then it starts on
Datasets of 1G, 1T and 10T tokens, of which all but the tokens is real, each in a process of its own,
and prints seconds until the first batch, the memory that it took, and that after batches from all
over the Dataset. Pages of files that are mapped are not counted: they go when memory is short. Times
are CPU times.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cupola_api.artifact import MANIFEST, canonical, hash_file, seal
from cupola_api.run import ORDER, Hyperparameters, PretrainRun, Shape, WeightedInput, World
from cupola_api.training import Optimizer, Precision
from cupola_trainer.pretrain import data
from cupola_trainer.pretrain.data import Dataset, TrainingData
from cupola_trainer.shards import INDEX, PIECE_BYTES, Index, Piece, write_index, write_shard
from cupola_trainer.storage import S3Place
from cupola_trainer.storage.pieces import Brought
from cupola_trainer.stream import Stream

VOCABULARY = 32_000
TOKENS = 256 << 20
SHARD = 16 << 20
BATCH = 64
MORE = 500
"""Batches from all over a simulated Dataset."""
ZEROS = hashlib.sha256(bytes(PIECE_BYTES)).digest()
FACTS = {"vocabulary": VOCABULARY, "tokenizerDigest": "sha256:" + "a" * 64}


def run_of(source: WeightedInput, context: int) -> PretrainRun:
    return PretrainRun(
        namespace="bench",
        name="loader",
        output="file:///nowhere",
        datasets=[source],
        order=ORDER,
        shape=Shape(
            layers=1,
            hidden=16,
            heads=2,
            kv_heads=2,
            ffn=16,
            vocabulary=VOCABULARY,
            context=context,
            tie_embeddings=True,
        ),
        steps=1,
        sequences_per_step=BATCH,
        micro_batch=1,
        hyperparameters=Hyperparameters(
            optimizer=Optimizer(),
            learning_rate=1e-3,
            warmup_steps=0,
            final_ratio=0.1,
            weight_decay=0.1,
            gradient_clipping=1.0,
            precision=Precision.FP32,
            seed=0,
        ),
        world=World(nodes=1, gpus_per_node=1, threads=1, device="Cpu"),
        zero_stage=0,
        activation_checkpointing=False,
        checkpoint_seconds=1,
        checkpoint_keep=1,
    )


def source_of(uri: str, digest: str) -> WeightedInput:
    return WeightedInput(kind="Dataset", name="bench", uri=uri, digest=digest, weight=1.0)


def real(folder: Path) -> WeightedInput:
    chance = np.random.default_rng(0)
    for number in range(TOKENS // SHARD):
        tokens = chance.integers(0, VOCABULARY, SHARD, np.uint16)
        write_shard(folder / "train", number, [tokens], VOCABULARY)
    write_shard(folder / "validation", 0, [[0]], VOCABULARY)
    for split in ("train", "validation"):
        write_index(folder / split, VOCABULARY)
    artifact = seal(folder, kind="Dataset", run="sha256:" + "0" * 64, facts=FACTS)
    return source_of(artifact.uri, artifact.digest)


def simulated(folder: Path, tokens: int) -> WeightedInput:
    """A Dataset of zeros in shards as Cupola writes them, of which the index and manifest are real."""
    train = folder / "train"
    train.mkdir(parents=True)
    shards, pieces = tokens // SHARD, 2 * SHARD // PIECE_BYTES
    count = shards * pieces
    starts = np.arange(count + 1, dtype="<u8") * (PIECE_BYTES // 2)
    with (train / INDEX).open("wb") as file:
        file.write(np.array([count], "<u8").tobytes() + starts.tobytes())
        file.write(np.repeat(np.arange(shards, dtype="<u4"), pieces).tobytes())
        file.write(ZEROS * count)
    write_shard(folder / "validation", 0, [[0]], VOCABULARY)
    write_index(folder / "validation", VOCABULARY)
    facts = canonical({"facts": FACTS}).removesuffix(b"}").decode()
    with (folder / MANIFEST).open("w") as file:
        file.write(f'{facts},"files":[')
        for name in sorted(f"{n:05d}.{end}" for n in range(shards) for end in ("ends", "tokens")):
            file.write(_entry(f"train/{name}", 2 * SHARD, "0" * 64) + ",")
        small = sorted(path for path in folder.rglob("*") if path.parent != folder)
        hashed = [(p.relative_to(folder).as_posix(), p.stat().st_size, hash_file(p)) for p in small]
        file.write(",".join(_entry(*one) for one in hashed))
        file.write(f'],"format":1,"inputs":[],"kind":"Dataset","run":"sha256:{"0" * 64}"}}')
    return source_of(folder.as_uri(), "sha256:" + hash_file(folder / MANIFEST))


def _entry(path: str, size: int, sha256: str) -> str:
    return canonical({"bytes": size, "path": path, "sha256": sha256}).decode()


def speed(reader: TrainingData, context: int, samples: int) -> float:
    """Tokens a second of CPU time, after the first reading, which hashes."""
    for turn in range(2):
        begun = time.process_time()
        for first in range(0, samples, BATCH):
            reader.read(range(first, first + BATCH))
        seconds = time.process_time() - begun
        print(f"    {'again' if turn else 'first time'}: {samples * context / seconds / 1e6:,.0f}M")
    return samples * context / seconds


def plain(source: WeightedInput, context: int, places: np.ndarray) -> float:
    """The same sequences out of mapped files, as short training scripts do it."""
    folder = Path(source.uri.removeprefix("file://"))
    maps = [np.memmap(p, np.uint16, "r") for p in sorted(folder.glob("train/*.tokens"))]
    for _ in range(2):
        begun = time.process_time()
        for first in range(0, len(places), BATCH):
            rows = []
            for start in (places[first : first + BATCH] * context).tolist():
                shard, at = divmod(start, SHARD)
                rows.append(maps[shard][at : at + context].astype(np.int64))
            np.stack(rows)
        seconds = time.process_time() - begun
    return len(places) * context / seconds


def cached(source: WeightedInput, run: PretrainRun) -> list[Dataset]:
    """The same Dataset as if it lay in a bucket and all had been brought already."""
    (opened,) = data.open_datasets(run)
    folder = Path(source.uri.removeprefix("file://"))
    place, cache = bucket()
    index = Index(folder / "train" / INDEX, VOCABULARY)
    for number in range(index.count):
        piece = index.piece(number)
        with (folder / "train" / piece.file).open("rb") as file:
            file.seek(piece.begin)
            cache.path(piece).write_bytes(file.read(piece.size))
    return [in_bucket(opened, place)]


def bucket() -> tuple[S3Place, Brought]:
    place = S3Place("bucket", "train")
    return place, Brought(place, 1 << 40)


def in_bucket(opened: Dataset, place: S3Place) -> Dataset:
    index = opened.folder / "train" / INDEX
    return opened._replace(train=Stream(place, index, VOCABULARY, room=1 << 40))


def start(folder: str, digest: str) -> None:
    """In a process of its own: open, read a batch, print what it took."""
    begun = time.process_time()
    before = memory()
    run = run_of(source_of(folder, digest), 2048)
    place, cache = bucket()
    cache.path(Piece(0, "", 0, 0, ZEROS)).write_bytes(bytes(PIECE_BYTES))
    data.check(run)
    (opened,) = data.open_datasets(run)
    reader = TrainingData(run, [in_bucket(opened, place)])
    reader.read(range(1))
    took = time.process_time() - begun
    first_batch = memory()
    for first in range(0, MORE * BATCH, BATCH):
        reader.read(range(first * 4099, first * 4099 + BATCH))
    print(json.dumps([took, first_batch - before, memory() - before]))


def memory() -> float:
    """Memory of this process, without files that it has mapped, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        source = real(Path(name) / "real")
        for context in (2048, 512):
            run = run_of(source, context)
            samples = TOKENS // context // BATCH * BATCH - BATCH
            print(f"context {context}, batches of {BATCH}; tokens a second of a core")
            places = np.random.default_rng(0).permutation(samples)
            peer = plain(source, context, places)
            print(f"  numpy.memmap: {peer / 1e6:,.0f}M")
            for what, datasets in (
                ("in place", data.open_datasets(run)),
                ("from the cache", cached(source, run)),
            ):
                print(f"  {what}")
                rate = speed(TrainingData(run, datasets), context, samples)
                print(f"    {rate / peer:.2f} of numpy.memmap")
        for tokens in (10**9, 10**12, 10**13):
            made = simulated(Path(name) / str(tokens), tokens)
            size = (Path(name) / str(tokens) / "train" / INDEX).stat().st_size
            done = subprocess.run(
                [sys.executable, __file__, made.uri, made.digest],
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=True,
                timeout=600,
            )
            seconds, more, after = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{tokens:,} tokens, index of {size / 1e6:.1f} MB: first batch after "
                f"{seconds:.2f} s, {more:.0f} MiB more memory; {after:.0f} MiB after {MORE} batches"
            )


if __name__ == "__main__":
    start(*sys.argv[1:]) if len(sys.argv) > 1 else main()
