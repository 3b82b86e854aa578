"""The files of pods on this machine: what they mount, what they print, what they leave."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from cupola_operator.cluster import Object, key_of
from cupola_operator.local import container
from cupola_operator.local.clock import unix
from cupola_operator.local.container import CannotStart

_TAIL_BYTES = 4096


class PodFiles:
    """Places below a work directory, by pod."""

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir.absolute()
        self._pods = workdir.absolute() / "pods"
        self._logs = workdir.absolute() / "logs"

    def mark(self, pod: Object) -> str:
        """What every process of a pod carries: the pod's uid and the work directory's identity.

        A copy of a work directory holds pods of the same uids. Raises OSError.
        """
        place = self._workdir.stat()
        return f"{pod['metadata']['uid']}@{place.st_dev:x}.{place.st_ino:x}"

    def folder(self, pod: Object) -> Path:
        """The folder of a pod: its working directory, with its volumes and its end."""
        key = key_of(pod)
        return self._pods / key.namespace / f"{key.name}-{pod['metadata']['uid'][:8]}"

    def log(self, pod: Object) -> Path:
        """What the pods of that name printed; it is kept."""
        key = key_of(pod)
        return self._logs / key.namespace / f"{key.name}.log"

    def end(self, pod: Object) -> Path:
        """Where the shim writes how the pod ended."""
        return self.folder(pod) / "exit.json"

    def scratch(self, pod: Object) -> Path:
        """A pod's TMPDIR. Not in its folder, as the path of a socket has 107 bytes at most."""
        name = hashlib.sha256(self.mark(pod).encode()).hexdigest()[:13]
        return Path(tempfile.gettempdir()) / f"cupola-{name}"

    def make(self, pod: Object, volumes: Mapping[str, Mapping[str, str]]) -> None:
        """Make the folder of a pod with its volumes (name -> file -> text), and its TMPDIR.

        Raises CannotStart for a file that would lie outside its volume, and OSError.
        """
        shutil.rmtree(self.folder(pod), ignore_errors=True)
        self.folder(pod).mkdir(parents=True)
        for volume, texts in volumes.items():
            place = container.volume_folder(self.folder(pod), volume)
            place.mkdir(parents=True)
            for name, text in texts.items():
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                    raise CannotStart(f"volume {volume} has a file outside it: {name}")
                path = place / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        self.scratch(pod).mkdir(mode=0o700, exist_ok=True)

    def message(self, pod: Object) -> bytes:
        """The end of a pod's termination message; nothing if it left none."""
        return _tail(container.termination_log(self.folder(pod)))

    def log_tail(self, pod: Object) -> bytes:
        """The end of what a pod printed."""
        return _tail(self.log(pod))

    def last_sign(self, pod: Object) -> float:
        """When a lost pod was last seen alive, Unix time: its last output, or else its start."""
        started = unix(pod["status"]["startTime"])
        try:
            return min(time.time(), max(started, self.log(pod).stat().st_mtime))
        except OSError:
            return started

    def clear_scratch(self, pod: Object) -> None:
        """Remove the TMPDIR of a pod that has ended."""
        shutil.rmtree(self.scratch(pod), ignore_errors=True)

    def remove(self, pod: Object) -> None:
        """Remove the folder of a pod and its TMPDIR; its log stays."""
        self.clear_scratch(pod)
        shutil.rmtree(self.folder(pod), ignore_errors=True)

    def sweep(self, pods: Iterable[Object]) -> None:
        """Remove the folders of all pods but these."""
        known = {self.folder(pod) for pod in pods}
        for folder in self._pods.glob("*/*"):
            if folder not in known:
                shutil.rmtree(folder, ignore_errors=True)


def _tail(path: Path) -> bytes:
    """The last bytes of a file; nothing if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read(_TAIL_BYTES)
    except OSError:
        return b""
