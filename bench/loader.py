"""The loader of pretraining: tokens a second of a core, and what it takes to start.

    .venv/bin/python bench/loader.py

Makes 256M tokens below TMPDIR and reads them as training does, in place and from the local cache of
a bucket; beside it a loop over a numpy.memmap that knows its order already. Then it starts on
Datasets of 1G and 1T tokens (sparse files), each in a process of its own, and prints seconds until
the first batch and the memory that it took. Times are CPU times.
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

from cupola_api.artifact import File, Manifest, canonical, seal
from cupola_api.run import ORDER, Hyperparameters, PretrainRun, Shape, WeightedInput, World
from cupola_api.training import Optimizer, Precision
from cupola_trainer.pretrain import data
from cupola_trainer.pretrain.data import Dataset, TrainingData
from cupola_trainer.shards import INDEX, PIECE_BYTES, Index, write_index, write_shard
from cupola_trainer.storage import S3Place
from cupola_trainer.storage.pieces import Brought
from cupola_trainer.stream import Stream

VOCABULARY = 32_000
TOKENS = 256 << 20
SHARD = 16 << 20
BATCH = 64
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


def sparse(folder: Path, tokens: int) -> WeightedInput:
    """A Dataset of zeros that takes no disk, in shards as Cupola writes them."""
    train = folder / "train"
    train.mkdir(parents=True)
    shards, pieces = tokens // SHARD, 2 * SHARD // PIECE_BYTES
    for number in range(shards):
        for name in (f"{number:05d}.tokens", f"{number:05d}.ends"):
            with (train / name).open("wb") as file:
                file.truncate(2 * SHARD if name.endswith("s") and "tokens" in name else 8)
    count = shards * pieces
    starts = np.arange(count + 1, dtype="<u8") * (PIECE_BYTES // 2)
    with (train / INDEX).open("wb") as file:
        file.write(np.array([count], "<u8").tobytes() + starts.tobytes())
        file.write(np.repeat(np.arange(shards, dtype="<u4"), pieces).tobytes())
        file.write(hashlib.sha256(bytes(PIECE_BYTES)).digest() * count)
    write_shard(folder / "validation", 0, [[0]], VOCABULARY)
    write_index(folder / "validation", VOCABULARY)
    files = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            small = path.name == INDEX or path.parent.name == "validation"
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if small else "0" * 64
            name = path.relative_to(folder).as_posix()
            files.append(File(path=name, bytes=path.stat().st_size, sha256=digest))
    manifest = Manifest(kind="Dataset", run="sha256:" + "0" * 64, facts=FACTS, files=files)
    text = canonical(manifest.to_json())
    (folder / "manifest.json").write_bytes(text)
    return source_of(folder.as_uri(), "sha256:" + hashlib.sha256(text).hexdigest())


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
    place = S3Place("bucket", "train")
    stream = Stream(place, folder / "train" / INDEX, VOCABULARY, room=1 << 40)
    index = Index(folder / "train" / INDEX, VOCABULARY)
    cache = Brought(place, 1 << 40)
    for number in range(index.count):
        piece = index.piece(number)
        with (folder / "train" / piece.file).open("rb") as file:
            file.seek(piece.begin)
            cache.path(piece).write_bytes(file.read(piece.size))
    return [opened._replace(train=stream)]


def start(folder: str, digest: str) -> None:
    """In a process of its own: open, read a batch, print what it took."""
    begun = time.process_time()
    before = peak()
    run = run_of(source_of(folder, digest), 2048)
    data.check(run)
    TrainingData(run, data.open_datasets(run)).read(range(1))
    took = time.process_time() - begun
    print(json.dumps([took, peak() - before]))


def peak() -> float:
    """Most memory that this process had, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


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
        for tokens in (10**9, 10**12):
            made = sparse(Path(name) / str(tokens), tokens)
            size = (Path(name) / str(tokens) / "train" / INDEX).stat().st_size
            done = subprocess.run(
                [sys.executable, __file__, made.uri, made.digest],
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
                check=True,
                timeout=600,
            )
            seconds, memory = json.loads(done.stdout)
            print(
                f"{tokens:,} tokens, index of {size / 1e6:.1f} MB: first batch after "
                f"{seconds:.2f} s, {memory:.0f} MiB more memory"
            )


if __name__ == "__main__":
    start(*sys.argv[1:]) if len(sys.argv) > 1 else main()
