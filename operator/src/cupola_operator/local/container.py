"""From a pod's spec to a process: command, environment, and the files that it mounts. Pure."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cupola_api import quantities
from cupola_api.dataset import PII_KEY
from cupola_api.synthetic import ENDPOINT_KEY
from cupola_operator.cluster import Object
from cupola_operator.local.paths import rewrite

TERMINATION_LOG = "/dev/termination-log"
"""Kubernetes' default of terminationMessagePath."""

_OURS = {"TMPDIR", "HOME"}
"""Variables of the container's file system: here they are of this machine (`base_environment`)."""

_REFERENCE = re.compile(r"\$(\$|\(([^()]+)\))")
_INDEXED = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


_PASSED = (
    "HF_DATASETS_OFFLINE",
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
    ENDPOINT_KEY,
    PII_KEY,
)
"""Variables of the user that curation reads: of the Hugging Face hub, and keys: of an endpoint, of
hashes."""


class CannotStart(Exception):
    """A pod asks for what this node does not have; the message says what."""


class Launch(NamedTuple):
    """A process to start."""

    command: list[str]
    environment: dict[str, str]
    memory: int | None
    """Bytes that it may hold, or None for no limit."""


def launch(
    pod: Object, *, address: str, folder: Path, base: Mapping[str, str], python: str
) -> Launch:
    """The process of a pod whose files lie in `folder`.

    `base` is the environment that an image would bring, `python` the interpreter that `python`
    stands for. What confines a container (users, capabilities, a read-only root) and what places it
    (nodes, queues, priorities) means nothing here. Raises CannotStart.
    """
    container = only_container(pod)
    places = mounts(pod, folder)
    environment = dict(base)
    asked = {one["name"] for one in container.get("env", []) if "valueFrom" in one}
    if ENDPOINT_KEY not in asked:  # only who asks an endpoint gets its key
        environment.pop(ENDPOINT_KEY, None)
    for variable in container.get("env", []):
        if variable["name"] in _OURS:
            continue
        if "secretKeyRef" in variable.get("valueFrom", {}):
            if variable["name"] not in base:
                raise CannotStart(
                    f"environment variable {variable['name']} is from a Secret, which this machine "
                    "does not have; set it where cupola is started"
                )
            continue
        value = _value(variable, pod, address)
        environment[variable["name"]] = rewrite(_expand(value, environment), places)
    words = [*container.get("command", []), *container.get("args", [])]
    if not words:
        raise CannotStart(
            "the pod has neither command nor args, and there is no image to take them from"
        )
    command = [rewrite(_expand(word, environment), places) for word in words]
    if command[0] == "python":
        command[0] = python
    return Launch(command, environment, memory_limit(container))


def memory_limit(container: Object) -> int | None:
    """Bytes that a container may hold: resources.limits.memory. Raises CannotStart."""
    text = container.get("resources", {}).get("limits", {}).get("memory")
    try:
        return quantities.memory(str(text)) if text is not None else None
    except ValueError as error:
        raise CannotStart(f"resources.limits.memory: {error}") from error


def base_environment(environment: dict[str, str], scratch: Path) -> dict[str, str]:
    """What an image would set, and the few variables of the user that a program cannot miss."""
    programs = f"{Path(sys.executable).parent}:{environment.get('PATH', os.defpath)}"
    return {
        "PATH": programs,
        "HOME": environment.get("HOME", str(scratch)),
        "LANG": "C.UTF-8",
        "TMPDIR": str(scratch),
        "PYTHONUNBUFFERED": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "TP_SOCKET_IFNAME": "lo",
        **{name: environment[name] for name in _PASSED if name in environment},
    }


def only_container(pod: Object) -> Object:
    """The one container of a pod. Raises CannotStart if there are others."""
    spec = pod["spec"]
    if len(spec["containers"]) != 1 or spec.get("initContainers"):
        raise CannotStart("this node runs pods of one container, without init containers")
    container: Object = spec["containers"][0]
    return container


def mounts(pod: Object, folder: Path) -> dict[str, str]:
    """Path in the container -> path on this machine: of its volumes and termination message."""
    container = only_container(pod)
    names = {volume["name"] for volume in pod["spec"].get("volumes", [])}
    places = {
        container.get("terminationMessagePath", TERMINATION_LOG): str(termination_log(folder))
    }
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in names:
            raise CannotStart(f"volumeMount {mount['name']} names no volume of the pod")
        place = volume_folder(folder, mount["name"]) / mount.get("subPath", "")
        places[mount["mountPath"].rstrip("/")] = str(place)
    return places


def volume_folder(folder: Path, name: str) -> Path:
    """Where a volume of the pod lies."""
    return folder / "volumes" / name


def termination_log(folder: Path) -> Path:
    """Where the pod's termination message lies."""
    return folder / "termination-log"


def files(pod: Object, config_maps: Mapping[str, Object]) -> dict[str, dict[str, str]]:
    """Volume name -> file name -> text, of every volume; an emptyDir holds none.

    `config_maps` are those of the namespace, by name. Raises CannotStart.
    """
    found: dict[str, dict[str, str]] = {}
    for volume in pod["spec"].get("volumes", []):
        name = volume["name"]
        if "emptyDir" in volume:
            found[name] = {}
        elif "configMap" in volume:
            found[name] = _config_map_files(volume["configMap"], config_maps)
        else:
            kind = next((key for key in volume if key != "name"), "nothing")
            raise CannotStart(f"volume {name} is of type {kind}; this node has configMap, emptyDir")
    return found


def _config_map_files(source: Object, config_maps: Mapping[str, Object]) -> dict[str, str]:
    name = source["name"]
    if name not in config_maps:
        raise CannotStart(f"ConfigMap {name} is not there")
    data: dict[str, str] = config_maps[name].get("data", {})
    items = source.get("items")
    if items is None:
        return dict(data)
    absent = [item["key"] for item in items if item["key"] not in data]
    if absent:
        raise CannotStart(f"ConfigMap {name} has no key {absent[0]}")
    return {item["path"]: data[item["key"]] for item in items}


def _value(variable: Object, pod: Object, address: str) -> str:
    """The value of an environment variable as written, or as its fieldRef says."""
    if "valueFrom" not in variable:
        return str(variable.get("value", ""))
    path = variable["valueFrom"].get("fieldRef", {}).get("fieldPath", "")
    metadata = pod["metadata"]
    fields = {
        "status.podIP": address,
        "status.hostIP": "127.0.0.1",
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
    }
    if path in fields:
        return str(fields[path])
    if match := _INDEXED.fullmatch(path):
        return str(metadata.get(match[1], {}).get(match[2], ""))
    raise CannotStart(f"environment variable {variable['name']} is taken from what is not here")


def _expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace $(NAME) of a variable that is defined already; $$ stands for $, as in Kubernetes."""

    def put(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return environment.get(match[2], match.group())

    return _REFERENCE.sub(put, text)
