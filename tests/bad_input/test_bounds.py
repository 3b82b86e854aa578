"""What reading a file may cost: a process that has little memory and time left reads the worst."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEMORY = 64 << 20
"""Bytes that may be allocated for one file, with all that the interpreter needs besides."""
SECONDS = 60
"""Processor time for all of them. One takes less than a second; what grows with the square, hours."""

READ = f"""
import resource, sys
from pathlib import Path
from cupola_operator.cli import load
from cupola_operator.cli.load import InputInvalid, read

small = Path(sys.argv[1]).with_name("small.yaml")
small.write_text("kind: Dataset\\napiVersion: cupola.dev/v1alpha1\\nmetadata: {{name: a}}\\nspec: {{}}")
try:
    read([small])  # so that all is loaded that is loaded late
except InputInvalid:
    pass
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + {MEMORY}
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
used = resource.getrusage(resource.RUSAGE_SELF)
cpu = int(used.ru_utime + used.ru_stime) + {SECONDS}
resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
for name in sys.argv[1:]:
    try:
        read([Path(name)])
    except InputInvalid as error:
        print(len(error.sentences), error.sentences[0])
"""

SIZE = 512 * 1024 - 64
HEAD = "apiVersion: cupola.dev/v1alpha1\nkind: Dataset\nmetadata: {name: a}\nspec:\n"
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 64))


def filled(piece: str, before: str = "", after: str = "") -> str:
    """The largest file that is read, full of a piece of text."""
    return before + piece * ((SIZE - len(before) - len(after)) // len(piece.encode())) + after


FILES = {
    "laughs": BOMB,
    "wide": "a: &a [" + "x," * 9000 + "]\nb: [" + "*a," * 1000 + "]\n",
    "lists": filled("["),
    "maps": filled("{a: "),
    "items": filled("- "),
    "questions": filled("? "),
    "indented": "\n".join(" " * i + "a:" for i in range(1000)),
    "documents": filled("--- a\n"),
    "anchors": filled("- &a x\n"),
    "scalar": filled("x", "a: "),
    "quoted": filled("x\n", 'a: "'),
    "escapes": filled("\\u0041", 'a: "', '"'),
    "block": filled(" x\n", "a: |\n"),
    "comments": filled("# x\n"),
    "lines": filled("\n", "a: b"),
    "name": filled("x", HEAD.partition("a}")[0], "}\nspec: {}"),
    "digits": filled("9", "a: "),
    "underscores": filled("1_", "a: "),
    "fields": HEAD + "".join(f"  f{i}: 1\n" for i in range(9000)),
    "sources": filled("1,", HEAD + "  sources: [", "]"),
    "wrong": filled("- a\n---\n"),
}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="/proc says what memory is used")
def test_reading_is_bounded_in_memory_and_time(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    with (tmp_path / "gigabyte").open("wb") as file:
        file.truncate(1 << 30)
    names = [*FILES, "gigabyte"]
    paths = [str(tmp_path / name) for name in names]
    done = subprocess.run(
        [sys.executable, "-c", READ, *paths, "/dev/zero"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == len(names) + 1
    for name, line in zip([*names, "/dev/zero"], lines, strict=True):
        assert name in line
        assert len(line) < 500
        assert int(line.split()[0]) <= 101
