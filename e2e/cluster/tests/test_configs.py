import json
import shutil
import subprocess
import tarfile

import pytest
import yaml
from testbed import addons, certificates, configs, images
from testbed.components import components
from testbed.layout import NODE_IP, TOOLS

TOKENS = {name: f"token-of-{name}" for name in configs.USERS}


def test_every_component_finds_the_files_that_it_is_given():
    made = configs.files(TOKENS, "authority", "cupola-x", ("key", "secret"), "overlayfs")
    certified = {
        "ca.crt",
        *(f"{name}.{end}" for name in ("apiserver", "apiserver-client") for end in ("crt", "key")),
        "service-account.key",
        "service-account.pub",
    }
    arguments = " ".join(word for component in components() for word in component.argv)
    named = {
        word.removeprefix("/run/cupola/etc/")
        for word in arguments.replace("=", " ").split()
        if word.startswith("/run/cupola/etc/")
    }
    assert named <= {*made, *certified}
    assert "kubelet.yaml" in named


def test_components_wait_only_for_components():
    names = {component.name for component in components()}
    assert {name for component in components() for name in component.after} <= names


def test_components_run_programs_of_the_cluster():
    programs = [component.argv[0] for component in components() if component.argv]
    assert programs
    assert all(program.startswith(f"{TOOLS}/") for program in programs)


def test_each_user_has_a_token_and_a_kubeconfig():
    made = configs.files(TOKENS, "authority", "cupola-x", ("key", "secret"), "overlayfs")
    assert (
        'token-of-kubelet,system:node:node,system:node:node,"system:nodes"\n' in made["tokens.csv"]
    )
    for name in configs.USERS:
        user = yaml.safe_load(made[f"{name}.kubeconfig"])["users"][0]["user"]
        assert user == {"token": f"token-of-{name}"}


def test_the_audit_log_has_every_write_but_the_nodes_heartbeats():
    heartbeat, writes, rest = configs.audit_policy()["rules"]
    assert heartbeat["namespaces"] == ["kube-node-lease"]
    assert writes == {
        "level": "Metadata",
        "verbs": ["create", "update", "patch", "delete", "deletecollection"],
    }
    assert rest == {"level": "None"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing")
def test_the_api_server_is_trusted_at_the_forwarder_and_at_the_node(tmp_path):
    certificates.write(tmp_path)
    for address in ("127.0.0.1", NODE_IP):
        checked = ["openssl", "verify", "-CAfile", tmp_path / "ca.crt", "-verify_ip", address]
        subprocess.run(
            [*checked, tmp_path / "apiserver.crt"], check=True, capture_output=True, timeout=30
        )


def test_an_image_is_the_same_bytes_each_time(tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    for name in ("one", "two"):
        images.write(tmp_path / name, "localhost/x:1", {"bin/x": program}, links={"bin/y": "x"})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with tarfile.open(tmp_path / "one") as archive:
        manifest = json.load(archive.extractfile("manifest.json"))
        with tarfile.open(fileobj=archive.extractfile("layer.tar")) as layer:
            assert layer.getnames() == ["bin", "bin/x", "bin/y"]
            assert layer.getmember("bin/x").mode == 0o755
    assert manifest[0]["RepoTags"] == ["localhost/x:1"]


def test_kueue_hears_of_its_own_kinds_and_of_what_it_queues_alone():
    def hook(name, group, resource):
        return {"name": name, "rules": [{"apiGroups": [group], "resources": [resource]}]}

    shipped = {
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "kueue"},
        "webhooks": [
            hook("own", "kueue.x-k8s.io", "workloads"),
            hook("job", "batch", "jobs"),
            hook("train", "kubeflow.org", "pytorchjobs"),
            hook("mpi", "kubeflow.org", "mpijobs"),
            hook("pod", "", "pods"),
        ],
    }
    service = {"kind": "APIService", "metadata": {"name": "v1.visibility"}}
    (made,) = addons.kueue(yaml.safe_dump_all([shipped, service]))
    assert [webhook["name"] for webhook in made["webhooks"]] == ["own", "job", "train"]
