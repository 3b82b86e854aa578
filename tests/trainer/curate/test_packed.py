"""Files that are unpacked as they are read, within bounds."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard

from cupola_trainer.curate import packed
from cupola_trainer.curate.packed import Damaged, unpacked

DATA = b"".join(b"line %d\n" % i for i in range(3000))


def skippable(data: bytes) -> bytes:
    """A frame of zstd that holds no data, as parallel packers write them."""
    return b"\x50\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a", DATA),
        ("a.GZ", gzip.compress(DATA)),
        ("a.gz", gzip.compress(DATA[:100]) + gzip.compress(DATA[100:])),
        ("a.gz", gzip.compress(DATA) + bytes(600)),
        ("a.gz", gzip.compress(b"") + gzip.compress(DATA)),
        ("a.zst", zstandard.compress(DATA)),
        ("a.zst", zstandard.compress(DATA[:100]) + zstandard.compress(DATA[100:])),
        ("a.zst", skippable(b"sizes") + zstandard.compress(DATA) + skippable(b"")),
    ],
)
def test_what_is_read_is_what_was_packed(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with unpacked(tmp_path / name) as file:
        assert file.read() == DATA
    with unpacked(tmp_path / name) as file:
        assert b"".join(file) == DATA


def test_a_file_may_look_back_as_far_as_memory_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer = zstandard.ZstdCompressionParameters(window_log=21)
    packer = zstandard.ZstdCompressor(compression_params=longer).compressobj()
    path = tmp_path / "a.zst"
    path.write_bytes(packer.compress(DATA) + packer.flush())
    assert unpacked(path).read() == DATA
    monkeypatch.setattr(packed, "WINDOW", 1 << 20)
    with pytest.raises(Damaged, match="requires too much memory") as caught:
        unpacked(path).read()
    assert caught.value.rule == "corrupt"


@pytest.mark.parametrize("name", ["a.gz", "a.zst"])
def test_a_file_that_grows_too_much_is_given_up_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(packed, "FREE", 1 << 20)
    pack = gzip.compress if name == "a.gz" else zstandard.compress
    (tmp_path / name).write_bytes(pack(bytes(8 << 20)))
    with pytest.raises(Damaged, match="more than 300 times its size"):
        unpacked(tmp_path / name).read()
    (tmp_path / name).write_bytes(pack(DATA * 10))
    assert unpacked(tmp_path / name).read() == DATA * 10
