"""What is refused before anything starts: exit code 2, a line for each problem, nothing made."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cupola_operator.cli import app
from cupola_operator.local import lock

CUPOLA = Path(sys.executable).with_name("cupola")

DATASET = """\
apiVersion: cupola.dev/v1alpha1
kind: Dataset
metadata: {name: docs}
spec:
  sources:
  - name: web
    uri: store:///raw
    format: Jsonl
"""
TRAINING = """\
apiVersion: cupola.dev/v1alpha1
kind: PretrainJob
metadata: {name: base}
spec:
  datasets: [{name: docs}]
  model: {size: 2M}
  tokens: 2M
"""
TUNING = """\
apiVersion: cupola.dev/v1alpha1
kind: FineTune
metadata: {name: NAME}
spec: {base: BASE, dataset: docs}
"""
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 64))

Wanted = tuple[int, str, str]
"""Of a line that is said: the line of the file (0: of the whole file), the field, the remedy."""

YAML: dict[str, tuple[str | bytes, list[Wanted]]] = {
    "a tab": ("a:\n\tb: c", [(2, "a tab stands", "indent with spaces")]),
    "an unclosed quote": ("a: 'b", [(1, "end of stream", "check its indentation, colons and quotes")]),
    "an unclosed list": ("a: [b\nc: d", [(2, "expected ','", "check its indentation")]),
    "one of several documents broken": (
        f"{DATASET}---\na: b: c\n---\n{TRAINING}",
        [(10, "mapping values", "check its indentation")],
    ),
    "bytes": (bytes(range(256)), [(0, "not UTF-8", "save it as UTF-8")]),
    "zeros": (bytes(64), [(1, "control character U+0000", "save the file as UTF-8")]),
    "UTF-16": (DATASET.encode("utf-16"), [(0, "not UTF-8", "save it as UTF-8")]),
    "UTF-16 without a mark": (DATASET.encode("utf-16-be"), [(1, "U+0000", "save the file as UTF-8")]),
    "a mark between files put together": (
        f"{DATASET}---\n\ufeff{TRAINING}",
        [(10, "byte order mark", "delete it")],
    ),
    "a control character": ("a: \x1b[31m", [(1, "U+001B", "delete it")]),
    "a list": ("- a\n- b", [(1, "a resource is a map", "write apiVersion, kind, metadata and spec")]),
    "text": ("hello", [(1, "a resource is a map", "write apiVersion, kind, metadata and spec")]),
    "a field twice": (f"{DATASET}kind: Dataset", [(9, "'kind' is written twice", "keep one")]),
    "a merge key": ("a: &a {}\nb: {<<: *a}", [(2, "merge keys", "write the fields out")]),
    "an alias of nothing": ("a: *b", [(1, "alias *b", "write &b")]),
    "a billion laughs": (BOMB, [(13, "more than 20000 values, aliases included", "split the file")]),
    "many anchors": ("- &a x\n" * 30_000, [(20_000, "more than 20000 values", "split the file")]),
    "a hundred thousand lists": ("[" * 100_000, [(1, "deeper than 50 levels", "write it flatter")]),
    "a hundred thousand maps": ("{a: " * 100_000, [(1, "deeper than 50 levels", "write it flatter")]),
    "a hundred thousand items": ("- " * 100_000, [(1, "deeper than 50 levels", "write it flatter")]),
    "a deep indentation": (
        "\n".join(" " * i + "a:" for i in range(900)),
        [(52, "deeper than 50 levels", "write it flatter")],
    ),
    "an object of Python": (
        "!!python/object/apply:os.system [id]",
        [(1, "python/object", "remove it")],
    ),
    "a tag": (DATASET.replace("name: docs", "name: !env NAME"), [(3, "tag '!env'", "remove it")]),
    "a map as a name": ("{[a]: b}", [(1, "the name of a field", "must be plain text")]),
    "a number too large": ("a: 1e999999", [(1, "no finite number", "quote it if it is text")]),
    "a number of many digits": (f"a: {'9' * 5000}", [(1, "no finite number", "quote it")]),
    "not a number": ("a: .nan", [(1, ".nan is no finite number", "quote it if it is text")]),
    "infinite": ("a: -.inf", [(1, "-.inf is no finite number", "quote it if it is text")]),
    "half of a character": (r'a: "\ud800"', [(1, "half of a character", "write the whole")]),
    "a List of nothing": ("kind: List\nitems: Dataset\n", [(2, "items", "write a list")]),
}  # fmt: skip
"""Files that are not YAML, not bounded, or not of the plain kind that is read."""


def training(old: str, new: str) -> str:
    """The training with a piece of it replaced."""
    assert old in TRAINING
    return TRAINING.replace(old, new)


RESOURCES: dict[str, tuple[str, list[Wanted]]] = {
    "a name like a number": (training("{name: base}", "{name: 010}"), [
        (3, "metadata.name: 8 is a number", "in quotes")]),
    "a name like a boolean": (training("{name: base}", "{name: yes}"), [
        (3, "metadata.name: true is a boolean", "in quotes")]),
    "a name of 37 characters": (training("base", "a" * 37), [(1, "metadata.name", "at most 36 characters")]),
    "a name that climbs": (training("base", "../base"), [(1, "metadata.name", "must be a DNS label")]),
    "a name in capitals": (training("base", "Base"), [(1, "metadata.name", "must be a DNS label")]),
    "a name of two lines": (training("base", r'"a\nb"'), [(1, r"PretrainJob/a\nb: metadata.name", "must be")]),
    "a name that paints": (training("base", r'"\e[31m"'), [(1, r"\x1b[31m: metadata.name", "must be")]),
    "no name": (training("{name: base}", "{}"), [(3, "metadata.name", "required; add it")]),
    "no spec": (TRAINING.partition("spec:")[0], [(1, "spec", "required; add it")]),
    "an empty spec": (TRAINING.partition("spec:")[0] + "spec:\n", [(4, "spec", "required; add it")]),
    "an unknown field": (training("tokens", "token"), [
        (7, "spec.token: there is no field 'token' in spec", "did you mean 'tokens'?")]),
    "an unknown field below": (training("size: 2M", "size: 2M, layers: 2"), [
        (6, "spec.model.layers: there is no field", "it has architecture, size, shape, context")]),
    "an unknown field of two lines": (training("tokens: 2M", r'"a\nb": 2M'), [
        (7, r"spec.a\nb: there is no field 'a\nb' in spec", "it has")]),
    "an unknown field of a thousand letters": (training("tokens", "x" * 100), [
        (7, f"spec.{'x' * 60}...: there is no field", "it has")]),
    "a wrong unit": (training("tokens: 2M", "tokens: 2Mi"), [
        (7, "spec.tokens: '2Mi' is not a count", "suffix K, M, B or T, such as")]),
    "a number for a quantity": (training("tokens: 2M", "tokens: 1_000"), [
        (7, "spec.tokens: 1000 is a number", "write a count in quotes")]),
    "a wrong duration": (f"{TRAINING}  deadline: 2 hours\n", [
        (8, "spec.deadline: '2 hours' is not a duration", "units d, h, m or s")]),
    "a budget of nothing": (f"{TRAINING}  budget: {{maxCost: '0.00'}}\n", [
        (8, "spec.budget: budget.maxCost must be more than 0", "leave budget out for no limit")]),
    "a negative budget": (f"{TRAINING}  budget: {{maxCost: '-5'}}\n", [
        (8, "spec.budget.maxCost: '-5' is not an amount", "write an amount")]),
    "a budget in another currency": (f"{TRAINING}  budget: {{maxCost: 100 EUR}}\n", [
        (8, "spec.budget.maxCost: '100 EUR' is not an amount", "in the currency of the installation")]),
    "a budget in words": (f"{TRAINING}  budget: {{maxCost: 5}}\n", [
        (8, "spec.budget.maxCost: 5 is a number", "in quotes")]),
    "no time at all": (f"{TRAINING}  deadline: 0h\n", [
        (4, "spec: deadline must be longer than 0", "leave it out for none")]),
    "a word for a boolean": (f"{TRAINING}  suspend: 'yes'\n", [
        (8, "spec.suspend: 'yes' is not a boolean", "write true or false")]),
    "text for a number": (f"{TRAINING}  seed: one\n", [(8, "spec.seed: 'one'", "write one, without quotes")]),
    "a date for a number": (f"{TRAINING}  seed: 2026-01-01\n", [(8, "spec.seed: '2026-01-01'", "whole number")]),
    "too large a number": (f"{TRAINING}  seed: {10**200}\n", [
        (8, "spec.seed", f"must be at most 2147483647, not 1{'0' * 59}...")]),
    "a word not in the list": (f"{TRAINING}  precision: bf16\n", [
        (8, "spec.precision: 'bf16' is not one of BF16, FP32", "did you mean BF16?")]),
    "a map for a list": (training("[{name: docs}]", "{name: docs}"), [
        (5, "spec.datasets: this is a map", "write a list, each item after a '-'")]),
    "a list for a map": (training("{size: 2M}", "[2M]"), [(6, "spec.model: this is a list", "write fields")]),
    "an empty list": (training("[{name: docs}]", "[]"), [
        (5, "spec.datasets: the list has no items", "write at least 1 item")]),
    "one of two": (training("size: 2M", "size: 2M, shape: {layers: 1, hidden: 64, heads: 2}"), [
        (6, "spec.model", "write either size: 7B or shape")]),
    "storage that is not known": (DATASET.replace("store:///raw", "gs://bucket/raw"), [
        (7, "spec.sources[0].uri: 'gs://bucket/raw'", "write store:///path")]),
    "a hub without the name of a dataset": (DATASET.replace("store:///raw", "hf://name"), [
        (7, "spec.sources[0].uri", "hf://org/name for a dataset")]),
    "a host in a path": (DATASET.replace("store:///raw", "file://host/raw"), [
        (7, "spec.sources[0].uri", "file:///path for this machine")]),
    "a space in a path": (DATASET.replace("store:///raw", "store:///my raw"), [
        (7, "spec.sources[0].uri", "without spaces")]),
    "an output elsewhere": (f"{DATASET}  output: s3://bucket\n", [(9, "spec.output", "write store:///path")]),
    "another kind": ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", [(2, "Pod/a: kind", "leave it out")]),
    "a kind of two lines": ('apiVersion: v1\nkind: "a\\nb"\n', [(2, r"a\nb: kind: a\nb is no kind", "leave it out")]),
    "a misspelt kind": (training("PretrainJob", "PretrainingJob"), [(2, "kind", "did you mean PretrainJob?")]),
    "another version": (training("v1alpha1", "v2"), [(1, "apiVersion", "write cupola.dev/v1alpha1")]),
    "one name twice": (f"{DATASET}---\n{DATASET}", [(10, "Dataset/docs: is also in", "keep one, or give one")]),
    "three mistakes": (training("tokens: 2M", "tokens: 2\n  seed: -1\n  sede: 1"), [
        (7, "spec.tokens", "write a count in quotes"),
        (8, "spec.seed", "must be at least 0, not -1"),
        (9, "spec.sede", "did you mean 'seed'?")]),
}  # fmt: skip
"""Resources that are YAML and not what the API asks for."""

TOGETHER: dict[str, tuple[str, list[Wanted]]] = {
    "a reference to nothing": (TRAINING, [
        (1, "spec.datasets[0].name: Dataset/docs is neither", "add its file with -f, or correct the name")]),
    "a model that waits for itself": (
        DATASET + "---\n" + TUNING.replace("NAME", "a").replace("BASE", "{fineTune: a}"),
        [(10, "spec.base.fineTune: FineTune/a itself waits", "name another")]),
    "two models that wait for each other": (
        "---\n".join([DATASET, *(TUNING.replace("NAME", a).replace("BASE", f"{{fineTune: {b}}}") for a, b in ("ab", "ba"))]),
        [(10, "spec.base.fineTune: FineTune/b itself waits", "name another")]),
    "a tokenizer of itself": (f"{DATASET}  tokenizer: {{dataset: docs}}\n", [
        (1, "spec.tokenizer.dataset: Dataset/docs itself waits", "name another")]),
    "a namespace that climbs": (DATASET.replace("docs}", "docs, namespace: ../x}"), [
        (1, "metadata.namespace: '../x'", "write lower-case letters, digits and '-' only")]),
}  # fmt: skip
"""Resources that are good one by one."""

POOLS = "pools: [{name: a, device: Cpu, gpusPerNode: 1, pricePerGpuHour: '1', gpuWatts: 1}]\n"
SETTINGS: dict[str, tuple[str | bytes, list[Wanted]]] = {
    "not YAML": ("store: [", [(1, "not YAML", "check its indentation")]),
    "bytes": (b"\xff\xfe", [(0, "not UTF-8", "save it as UTF-8")]),
    "a list": ("- a", [(0, "settings are one map", "write store, pools and dataPool")]),
    "two documents": ("a: b\n---\nc: d", [(0, "settings are one map", "write store, pools and dataPool")]),
    "nothing": ("", [(1, field, "required; add it") for field in ("store", "pools", "dataPool")]),
    "no pools": ("store: file:///x\ndataPool: a\n", [(1, "pools", "required; add it")]),
    "an empty list of pools": ("store: file:///x\npools: []\ndataPool: a", [(2, "pools", "write at least 1 item")]),
    "a data pool that is none": (f"store: file:///x\n{POOLS}dataPool: b", [
        (1, "dataPool", "must be the name of one of the pools")]),
    "an unknown field": (f"store: file:///x\n{POOLS}dataPool: a\ncolour: red", [
        (4, "colour: there is no field", "it has store, storage, currency, pools, dataPool")]),
    "an unknown field of a pool": (f"store: file:///x\n{POOLS.replace('gpuWatts', 'gpuWatt')}dataPool: a", [
        (2, "pools[0].gpuWatts", "add it"), (2, "pools[0].gpuWatt: there is no field", "did you mean 'gpuWatts'")]),
    "a price that is a number": (f"store: file:///x\n{POOLS.replace(chr(39), '')}dataPool: a", [
        (2, "pools[0].pricePerGpuHour: 1 is a number", "write an amount in quotes")]),
    "deep": ("[" * 100_000, [(1, "deeper than 50 levels", "write it flatter")]),
    "an object of Python": ("!!python/object:x {}", [(1, "python/object", "remove it")]),
}  # fmt: skip


def check(output: str, file: Path, wanted: list[Wanted]) -> None:
    """A line for each problem, which begins with its place and ends with the remedy."""
    lines = output.splitlines()
    assert len(lines) == len(wanted), output
    for said, (line, field, remedy) in zip(lines, wanted, strict=True):
        assert said.startswith(f"{file}:{line}" if line else f"{file}: "), said
        assert field in said
        assert remedy in said[said.index(field) + len(field) :], said
        assert said.isprintable()
        assert len(said) < 800


def refused(*arguments: object) -> str:
    """What `cupola run` says when it refuses."""
    result = CliRunner().invoke(app, ["run", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    return result.stderr


def a_file(folder: Path, content: str | bytes, name: str = "x.yaml") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("content", "wanted"), YAML.values(), ids=YAML)
def test_what_is_not_plain_yaml(tmp_path: Path, content: str | bytes, wanted: list[Wanted]) -> None:
    file = a_file(tmp_path, content)
    check(refused("-f", file, "--workdir", tmp_path / "w"), file, wanted)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(("content", "wanted"), RESOURCES.values(), ids=RESOURCES)
def test_what_is_no_resource(tmp_path: Path, content: str, wanted: list[Wanted]) -> None:
    file = a_file(tmp_path, content)
    check(refused("-f", file, "--workdir", tmp_path / "w"), file, wanted)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(("content", "wanted"), TOGETHER.values(), ids=TOGETHER)
def test_what_does_not_fit_together(tmp_path: Path, content: str, wanted: list[Wanted]) -> None:
    file = a_file(tmp_path, content)
    check(refused("-f", file, "--workdir", tmp_path / "w"), file, wanted)
    assert not (tmp_path / "w/objects").exists()


@pytest.mark.parametrize(("content", "wanted"), SETTINGS.values(), ids=SETTINGS)
def test_settings_that_cannot_be_used(
    tmp_path: Path, content: str | bytes, wanted: list[Wanted]
) -> None:
    file = a_file(tmp_path, content, "settings.yaml")
    given = a_file(tmp_path, DATASET)
    output = refused("-f", given, "--workdir", tmp_path / "w", "--settings", file)
    check(output, file, wanted)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    "content", ["", "# nothing\n", "---\n---\n", "kind: List\nitems: []\n", "~"]
)
def test_files_without_a_resource(tmp_path: Path, content: str) -> None:
    file = a_file(tmp_path, content)
    output = refused("-f", file, "--workdir", tmp_path / "w")
    assert output == (
        f"there is no resource in {file}; write one of Dataset, PretrainJob, FineTune, Evaluation\n"
    )


def test_many_mistakes_are_counted_not_listed(tmp_path: Path) -> None:
    file = a_file(tmp_path, "- a\n---\n" * 500)
    lines = refused("-f", file).splitlines()
    assert lines[0].startswith(f"{file}:1: a resource is a map; write")
    assert lines[100:] == ["and 400 more; correct these first"]


def test_one_name_in_two_files(tmp_path: Path) -> None:
    first, second = a_file(tmp_path, DATASET), a_file(tmp_path, f"\n{DATASET}", "y.yaml")
    output = refused("-f", first, "-f", second, "--workdir", tmp_path / "w")
    check(output, second, [(2, f"Dataset/docs: is also in {first}:1", "keep one, or give one")])


def test_paths_that_hold_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder/inner").mkdir(parents=True)
    (tmp_path / "folder/inner/back").symlink_to(tmp_path / "folder")
    os.mkfifo(tmp_path / "folder/pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(1 << 30)
    for name, what, remedy in (
        ("none.yaml", "cannot be read: No such file", "correct the path"),
        ("loop.yaml", "cannot be read: Too many levels of symbolic links", "correct the path"),
        ("folder", "holds no *.yaml or *.yml file", "name a folder that does"),
        ("folder/pipe.yaml", "is a pipe", "write what comes out of it into a file"),
        ("huge.yaml", "is larger than 512 KiB", "split it"),
    ):
        path = tmp_path / name
        output = refused("-f", path, "--workdir", tmp_path / "w")
        check(output, path, [(0, what, remedy)])
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("closed", [".", "inner", "inner/x.yaml"])
@pytest.mark.parametrize("named", [".", "inner/x.yaml"])
def test_paths_that_may_not_be_read(closed: str, named: str) -> None:
    with tempfile.TemporaryDirectory() as place:  # tmp_path is closed to others as a whole
        folder = Path(place)
        folder.chmod(0o755)
        (folder / "inner").mkdir()
        a_file(folder, TRAINING)
        a_file(folder / "inner", DATASET)
        (folder / closed).chmod(0)
        try:
            with nobody():
                output = refused("-f", folder / named, "--workdir", folder / "w")
        finally:
            (folder / closed).chmod(0o755)
        where = folder / (closed if named == "." else named)
        check(output, where, [(0, "cannot be read: Permission denied", "let this user read it")])


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """As another user, if this one is root, whom modes do not bind."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("slots", ["0", "-1", "99999999999"])
def test_slots_that_no_machine_has(tmp_path: Path, slots: str) -> None:
    output = refused("-f", a_file(tmp_path, DATASET), "--slots", slots)
    assert output == f"--slots: must be 1 to 1024, not {slots}\n"


def test_work_directories_that_cannot_be_made(tmp_path: Path) -> None:
    file = a_file(tmp_path, DATASET)
    (tmp_path / "loop").symlink_to("loop")
    for path in (
        file,
        file / "below",
        tmp_path / "loop",
        tmp_path / ("x" * 300),
        Path("/proc/x/y"),
    ):
        output = refused("-f", file, "--workdir", path)
        assert output.startswith(f"{path} cannot be used as a work directory: ")
        assert output.endswith("; name another with --workdir\n")
        assert output.count("\n") == 1


def test_a_work_directory_in_use(tmp_path: Path) -> None:
    file = a_file(tmp_path, DATASET)
    with lock.hold(tmp_path / "w"):
        output = refused("-f", file, "--workdir", tmp_path / "w")
    assert output.startswith(f"{tmp_path}/w is in use by another cupola run (pid {os.getpid()});")
    assert output.count("\n") == 1


needs_mount = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-Urm", "true"], check=False, capture_output=True).returncode,
    reason="user namespaces are off here, so nothing can be mounted for the test",
)


@needs_mount
@pytest.mark.parametrize(
    ("options", "words"),
    [("ro", "Read-only file system"), ("size=4k", "No space left on device")],
)
def test_a_work_directory_that_cannot_be_written(tmp_path: Path, options: str, words: str) -> None:
    file = a_file(tmp_path, DATASET)
    place = tmp_path / "disk"
    place.mkdir()
    script = 'mount -t tmpfs -o "$0" none "$1" && shift && exec "$@"'
    command = [CUPOLA, "run", "-f", file, "--workdir", place / "w"]
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, options, place, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{place}/w cannot be used")
    assert words in line
    assert line.endswith("; name another with --workdir")
