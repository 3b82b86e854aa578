from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cupola_api import errors
from cupola_api.pods import PodTemplate


def said(**fields: Any) -> list[str]:
    """What is said of a pod template."""
    try:
        PodTemplate.model_validate(fields)
    except ValidationError as error:
        return errors.sentences(error, PodTemplate)
    return []


def variable(name: str) -> dict[str, Any]:
    return {"env": [{"name": name, "value": "1"}]}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"labels": {"team": "nlp", "example.com/cost-centre": "4711"}},
        {"annotations": {"prometheus.io/scrape": "true"}},
        variable("NCCL_DEBUG"),
        variable("TOKENIZERS_PARALLELISM"),
        variable("RANKING"),
        {"volumes": [{"name": "cache", "persistentVolumeClaim": {"claimName": "a.b"}}]},
        {
            "volumes": [
                {"name": "a", "emptyDir": {"sizeLimit": "2Gi"}},
                {"name": "b", "emptyDir": {}},
            ]
        },
        {"volumes": [{"name": "files", "configMap": {"name": "files"}}]},
        {"serviceAccountName": "runs", "envFromSecrets": ["hub"]},
    ],
)
def test_what_the_allow_list_holds_is_accepted(fields: dict[str, Any]) -> None:
    assert said(**fields) == []


@pytest.mark.parametrize("field", ["labels", "annotations"])
@pytest.mark.parametrize(
    "key",
    [
        *("cupola.dev/name", "training.kubeflow.org/job-name", "kueue.x-k8s.io/queue-name"),
        *("batch.kubernetes.io/job-name", "app.kubernetes.io/managed-by", "job-name"),
        *("k8s.v1.cni.cncf.io/networks", "container.apparmor.security.beta.kubernetes.io/pytorch"),
    ],
)
def test_keys_that_others_read_are_reserved(field: str, key: str) -> None:
    (sentence,) = said(**{field: {key: "x"}})
    assert sentence.startswith(f"podTemplate.{field}: keys of cupola.dev, ")
    assert sentence.endswith("use a domain of your own")


@pytest.mark.parametrize("key", ["a b", "-a", "a..b/c", "/a", "a/b/c", "x" * 64, ""])
def test_a_key_is_one_that_kubernetes_takes(key: str) -> None:
    (sentence,) = said(labels={key: "x"})
    assert "at most 63 letters" in sentence


@pytest.mark.parametrize(
    "name",
    [
        *("RANK", "WORLD_SIZE", "MASTER_ADDR", "PET_NNODES", "AWS_ACCESS_KEY_ID", "PYTHONPATH"),
        *("LD_PRELOAD", "CUPOLA_ATTEMPT", "HOME", "TMPDIR", "PATH", "OMP_NUM_THREADS", "POD_IP"),
        *("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "CUDA_VISIBLE_DEVICES", "KUBERNETES_SERVICE_HOST"),
    ],
)
def test_variables_that_others_read_are_reserved(name: str) -> None:
    (sentence, *_) = said(**variable(name))
    assert "choose another name, or leave it out" in sentence


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "wandb_api_key", "PASSWORD", "DB_PASSWORD", "MY_SECRET"]
)
def test_a_secret_does_not_stand_in_the_resource(name: str) -> None:
    (sentence,) = said(**variable(name))
    assert "put it into a Secret and name that in envFromSecrets" in sentence


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"volumes": [{"name": "a"}]}, "say what the volume is once"),
        (
            {"volumes": [{"name": "a", "emptyDir": {}, "configMap": {"name": "b"}}]},
            "say what the volume is once",
        ),
        ({"volumes": [{"name": "cupola", "emptyDir": {}}]}, "cannot be named cupola"),
        ({"volumes": [{"name": "a", "emptyDir": {}}] * 2}, "volumes must have different names"),
        ({"env": [{"name": "A", "value": "1"}] * 2}, "env must have different names"),
        ({"env": [{"name": "A B", "value": "1"}]}, "is not the name of a variable"),
        ({"env": [{"name": "A", "valueFrom": {}}]}, "there is no field 'valueFrom'"),
        ({"volumes": [{"name": "a", "hostPath": {"path": "/"}}]}, "there is no field 'hostPath'"),
        ({"initContainers": []}, "there is no field 'initContainers'"),
        ({"securityContext": {}}, "there is no field 'securityContext'"),
        ({"labels": {"a": "b c"}}, "is not the value of a label"),
        ({"serviceAccountName": "A"}, "is not the name of an object"),
    ],
)
def test_what_it_does_not_hold_is_refused(fields: dict[str, Any], words: str) -> None:
    assert any(words in sentence for sentence in said(**fields)), said(**fields)
