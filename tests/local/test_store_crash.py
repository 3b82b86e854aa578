"""What is left of a write that was cut short: by a crash at any file operation, by a full disk."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cupola_api import API_VERSION
from cupola_operator.cli import app
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.local import mirror
from cupola_operator.local.mirror import Mirror
from cupola_operator.local.store import Store


class Crash(BaseException):
    """The process ends here."""


class Disk:
    """File operations below a folder: counted, and cut short at one of them."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = str(folder)
        self.names: list[str] = []
        self.fail_at: int | None = None
        self.error: BaseException = Crash()
        for module, name in (
            (os, "mkdir"),
            (os, "open"),
            (io, "open"),
            (os, "fsync"),
            (os, "replace"),
            (os, "unlink"),
        ):
            patch.setattr(module, name, self._watched(name, getattr(module, name)))

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            first = arguments[0]
            ours = isinstance(first, int) or str(first).startswith(self.folder)
            if not ours or self.fail_at is None:
                return real(*arguments, **options)
            self.names.append(name)
            if len(self.names) - 1 == self.fail_at:
                if name == "fsync" and stat.S_ISREG(os.fstat(first).st_mode):
                    # What was not synced may be lost in part.
                    os.ftruncate(first, os.fstat(first).st_size // 2)
                raise self.error
            return real(*arguments, **options)

        return watched

    def operations(self, write: Callable[[], object]) -> list[str]:
        """Do a write; the operations that it took."""
        self.names, self.fail_at = [], -1
        write()
        self.fail_at = None
        return self.names

    def cut(self, write: Callable[[], object], at: int, error: BaseException) -> bool:
        """Do a write whose operation number `at` fails; whether that was the end of it."""
        self.names, self.fail_at, self.error = [], at, error
        try:
            write()
        except type(error):
            return True
        finally:
            self.fail_at = None
        return False


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(tmp_path, monkeypatch)


def _pod(name: str) -> Object:
    metadata = {"name": name, "labels": {"a": "1"}}
    return {"kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "main"}]}}


def _create(store: Store, _: Object) -> None:
    store.create(_pod("q"))


def _replace(store: Store, pod: Object) -> None:
    store.replace({**pod, "spec": {"containers": [{"name": "other"}]}})


def _patch_status(store: Store, pod: Object) -> None:
    store.patch_status(key_of(pod), {"phase": "Running"}, pod["metadata"]["resourceVersion"])


def _delete(store: Store, pod: Object) -> None:
    store.delete(key_of(pod), pod["metadata"]["uid"])


def _remove(store: Store, pod: Object) -> None:
    store.remove(key_of(pod), pod["metadata"]["uid"])


def _event(store: Store, pod: Object) -> None:
    store.event(key_of(pod), kind="Normal", reason="Started", message="again")


WRITES = [_create, _replace, _patch_status, _delete, _remove, _event]
Write = Callable[[Store, Object], None]


def _seen(store: Store) -> list[Any]:
    """All objects and Events, without what differs from one write to the next."""
    values: list[Any] = [*store.all(), *({**e, "involvedObject": 0} for e in store.events())]
    for value in values:
        for field in ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"):
            if field in value.get("metadata", {}):
                value["metadata"][field] = ""
        for field in ("firstTimestamp", "lastTimestamp"):
            value.pop(field, None)
    return values


def _work(folder: Path) -> tuple[Store, Object]:
    store = Store(folder)
    pod = store.create(_pod("p"))
    _event(store, pod)
    return store, pod


def _note(told: list[tuple[Object, bool]], value: Object, deleted: bool) -> None:
    told.append((value, deleted))


@pytest.mark.parametrize("write", WRITES)
def test_a_crash_at_any_operation_leaves_the_old_or_the_new(
    tmp_path: Path, disk: Disk, write: Write
) -> None:
    store, pod = _work(tmp_path / "whole")
    before = _seen(store)
    operations = disk.operations(partial(write, store, pod))
    after = _seen(store)
    assert before != after
    assert len(operations) >= 3
    outcomes = []
    for at in range(len(operations)):
        folder = tmp_path / str(at)
        store, pod = _work(folder)
        assert disk.cut(partial(write, store, pod), at, Crash())
        found = _seen(Store(folder))
        assert found in (before, after), f"cut at {operations[at]}"
        assert not list(folder.rglob("*.tmp"))
        outcomes.append(found == after)
    assert outcomes == sorted(outcomes), "what is written stays"


@pytest.mark.parametrize("write", [one for one in WRITES if one is not _remove])
def test_a_full_disk_changes_nothing_and_the_write_can_be_repeated(
    tmp_path: Path, disk: Disk, write: Write
) -> None:
    operations = disk.operations(partial(write, *_work(tmp_path / "whole")))
    for at in range(operations.index("replace") + 1):
        if operations[at] == "mkdir":
            continue  # the folder is there
        folder = tmp_path / str(at)
        store, pod = _work(folder)
        told: list[tuple[Object, bool]] = []
        store.subscribe(partial(_note, told))
        before, events = store.all(), store.events()
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert disk.cut(partial(write, store, pod), at, full)
        assert store.all() == before == Mirror(folder).read()
        assert store.events() == events == Mirror(folder).read_events()
        assert told == []
        write(store, pod)
        assert before != store.all() or events != store.events()
        assert store.all() == Mirror(folder).read()
        assert store.events() == Mirror(folder).read_events()


def test_a_removal_that_fails_changes_nothing_and_can_be_repeated(
    tmp_path: Path, disk: Disk
) -> None:
    store, pod = _work(tmp_path)
    refused = OSError(errno.EIO, os.strerror(errno.EIO))
    assert disk.cut(lambda: _remove(store, pod), 0, refused)
    assert store.get(Key("Pod", "default", "p")) == pod
    assert Mirror(tmp_path).read() == [pod]
    _remove(store, pod)
    assert Mirror(tmp_path).read() == store.all() == []


def test_a_run_that_finds_the_disk_full_at_its_start_ends_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = tmp_path / "docs.yaml"
    source = "{name: a, uri: 'store:///a', format: Jsonl}"
    file.write_text(
        f"apiVersion: {API_VERSION}\nkind: Dataset\nmetadata: {{name: docs}}\n"
        f"spec: {{sources: [{source}]}}\n"
    )
    monkeypatch.setattr(mirror, "write_atomic", no_space)
    work = tmp_path / "work"
    result = CliRunner().invoke(app, ["run", "-f", str(file), "--workdir", str(work)])
    assert result.exit_code == 2
    assert result.stderr == (
        f"{work} cannot be used: No space left on device; name another with --workdir\n"
    )
