from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cupola_api.synthetic import ENDPOINT_KEY
from cupola_operator.cluster import Object
from cupola_operator.local.container import CannotStart, Launch, files, launch, mounts

FOLDER = Path("/d/pod")


def _pod(**container: Any) -> Object:
    return {
        "metadata": {
            "name": "p",
            "namespace": "n",
            "uid": "u",
            "labels": {"cupola.dev/attempt": "2"},
            "annotations": {"batch.kubernetes.io/job-completion-index": "7"},
        },
        "spec": {
            "containers": [{"name": "main", "command": ["python", "-c", "pass"], **container}],
            "volumes": [
                {"name": "run", "configMap": {"name": "c"}},
                {"name": "scratch", "emptyDir": {}},
            ],
        },
    }


def _launch(pod: Object, **base: str) -> Launch:
    return launch(pod, address="127.1.2.3", folder=FOLDER, base=base, python="/usr/bin/python9")


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def test_python_is_the_interpreter_of_this_installation() -> None:
    assert _launch(_pod(args=["x"])).command == ["/usr/bin/python9", "-c", "pass", "x"]
    assert _launch(_pod(command=["sleep", "1"])).command == ["sleep", "1"]


def test_mounted_paths_in_command_arguments_and_values_are_rewritten() -> None:
    pod = _pod(
        command=["/scratch/bin"],
        args=["/run/run.yaml", "--out=/scratch/a"],
        env=[{"name": "TERMINATION_LOG", "value": "/dev/termination-log"}],
        volumeMounts=[
            {"name": "run", "mountPath": "/run"},
            {"name": "scratch", "mountPath": "/scratch/"},
        ],
    )
    found = _launch(pod)
    assert found.command == [
        "/d/pod/volumes/scratch/bin",
        "/d/pod/volumes/run/run.yaml",
        "--out=/d/pod/volumes/scratch/a",
    ]
    assert found.environment["TERMINATION_LOG"] == "/d/pod/termination-log"


def test_temporary_files_go_where_this_machine_has_them() -> None:
    pod = _pod(
        env=[{"name": "TMPDIR", "value": "/scratch"}, {"name": "HOME", "value": "/scratch"}],
        volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}],
    )
    assert _launch(pod, TMPDIR="/tmp/x", HOME="/home/me").environment == {
        "TMPDIR": "/tmp/x",
        "HOME": "/home/me",
    }


def test_another_path_of_the_termination_message_is_honoured() -> None:
    pod = _pod(terminationMessagePath="/tmp/end")
    assert mounts(pod, FOLDER) == {"/tmp/end": "/d/pod/termination-log"}


def test_fields_of_the_pod_become_values() -> None:
    pod = _pod(
        env=[
            _field("IP", "status.podIP"),
            _field("NAME", "metadata.name"),
            _field("NS", "metadata.namespace"),
            _field("UID", "metadata.uid"),
            _field("ATTEMPT", "metadata.labels['cupola.dev/attempt']"),
            _field("INDEX", "metadata.annotations['batch.kubernetes.io/job-completion-index']"),
            _field("NONE", "metadata.labels['none']"),
        ]
    )
    assert _launch(pod).environment == {
        "IP": "127.1.2.3",
        "NAME": "p",
        "NS": "n",
        "UID": "u",
        "ATTEMPT": "2",
        "INDEX": "7",
        "NONE": "",
    }


def test_variables_expand_as_in_kubernetes() -> None:
    pod = _pod(
        command=["echo", "$(B)", "$$(B)", "$(LATER)", "$HOME"],
        env=[
            {"name": "A", "value": "1"},
            {"name": "B", "value": "$(A)$(C)"},
            {"name": "C", "value": "3"},
        ],
    )
    found = _launch(pod)
    assert found.environment["B"] == "1$(C)"
    assert found.command == ["echo", "1$(C)", "$(B)", "$(LATER)", "$HOME"]


def test_the_pods_own_value_wins_over_the_images_and_the_last_over_the_first() -> None:
    pod = _pod(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])
    assert _launch(pod, A="0", B="0").environment == {"A": "2", "B": "0"}


@pytest.mark.parametrize(
    ("resources", "limit"),
    [
        ({}, None),
        ({"requests": {"memory": "1Gi"}}, None),
        ({"limits": {"cpu": "1"}}, None),
        ({"limits": {"memory": "3072Mi"}}, 3 * 2**30),
    ],
)
def test_the_memory_limit_of_the_container_is_that_of_the_process(
    resources: Object, limit: int | None
) -> None:
    assert _launch(_pod(resources=resources)).memory == limit


@pytest.mark.parametrize("text", ["1G", "lots", 5, "0Gi"])
def test_a_memory_limit_that_cannot_be_read_is_not_taken_for_none(text: object) -> None:
    with pytest.raises(CannotStart, match=r"resources.limits.memory: .* such as \"2Gi\""):
        _launch(_pod(resources={"limits": {"memory": text}}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"command": []}, "neither command nor args"),
        ({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}, "volumeMount x"),
        ({"env": [{"name": "S", "valueFrom": {"secretKeyRef": {"name": "s"}}}]}, "variable S"),
    ],
)
def test_what_this_node_does_not_have_is_said(change: dict[str, Any], words: str) -> None:
    with pytest.raises(CannotStart, match=words):
        _launch(_pod(**change))


def test_pods_of_more_than_one_container_are_refused() -> None:
    pod = _pod()
    pod["spec"]["initContainers"] = [{"name": "init"}]
    with pytest.raises(CannotStart, match="one container"):
        _launch(pod)


def test_volumes_hold_the_files_of_config_maps() -> None:
    config_map = {"metadata": {"name": "c"}, "data": {"run.yaml": "a: 1", "b": "2"}}
    pod = _pod()
    assert files(pod, {"c": config_map}) == {
        "run": {"run.yaml": "a: 1", "b": "2"},
        "scratch": {},
    }
    pod["spec"]["volumes"][0]["configMap"]["items"] = [{"key": "b", "path": "x/y"}]
    assert files(pod, {"c": config_map})["run"] == {"x/y": "2"}


def test_a_volume_that_cannot_be_had_is_named() -> None:
    with pytest.raises(CannotStart, match="ConfigMap c is not there"):
        files(_pod(), {})
    pod = _pod()
    pod["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "x"}}]
    with pytest.raises(CannotStart, match="volume v is of type persistentVolumeClaim"):
        files(pod, {})
    pod["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "c", "items": [{"key": "k"}]}}]
    with pytest.raises(CannotStart, match="no key k"):
        files(pod, {"c": {"data": {}}})


def test_a_key_in_a_secret_is_the_users_and_no_other_pod_gets_it() -> None:
    key = {"name": "writer-key", "key": "key"}
    asks = _pod(env=[{"name": ENDPOINT_KEY, "valueFrom": {"secretKeyRef": key}}])
    user = {ENDPOINT_KEY: "of-the-user"}
    assert _launch(asks, **user).environment[ENDPOINT_KEY] == "of-the-user"
    assert ENDPOINT_KEY not in _launch(_pod(), **user).environment
    with pytest.raises(CannotStart, match="is from a Secret, which this machine does not have"):
        _launch(asks)
