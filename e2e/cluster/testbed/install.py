"""What is put into a cluster that answers: images, objects, a bucket."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from testbed import addons, images, kube
from testbed.configs import SNAPSHOTTER
from testbed.control import enter
from testbed.layout import BUCKET, REGION, State
from testbed.prerequisites import kubectl

APPLETS: tuple[str, ...] = (
    "cat",
    "date",
    "echo",
    "env",
    "false",
    "grep",
    "head",
    "id",
    "ls",
    "mkdir",
    "nc",
)
APPLETS += ("rm", "seq", "sh", "sleep", "tail", "touch", "true")
RESOLVING = ("nslookup", "wget")  # by path: the shell prefers busybox's own


def write_images(folder: Path, built: Path, busybox: Path) -> list[Path]:
    """Archives of the images that the cluster itself runs, and of busybox for small jobs."""
    folder.mkdir(exist_ok=True)
    links = {f"bin/{name}": "busybox" for name in APPLETS}
    links |= {f"bin/{name}": "lookup" for name in RESOLVING}
    box = {"bin/busybox": busybox, "bin/lookup": built / "lookup"}
    images.write(folder / "busybox.tar", addons.BUSYBOX, box, links=links)
    alone = {
        "pause": addons.PAUSE,
        "training-operator": addons.IMAGES["training-operator"],
        "kueue": addons.IMAGES["manager"],
    }
    for program, tag in alone.items():
        files = {"manager": built / program}
        images.write(folder / f"{program}.tar", tag, files, entrypoint=["/manager"])
    return sorted(folder.iterdir())


def load(state: State, archive: Path) -> None:
    """Import a docker or OCI archive into the node; RuntimeError with what ctr said."""
    snapshotter = (state.folder / "etc" / SNAPSHOTTER).read_text()
    importing = ("images", "import", f"--snapshotter={snapshotter}", "-")
    command = enter(state, "ctr", "--namespace=k8s.io", *importing)
    with archive.open("rb") as data:
        ran = subprocess.run(
            command, stdin=data, capture_output=True, text=True, timeout=1200, check=False
        )
    if ran.returncode:
        raise RuntimeError(f"{archive} was not imported: {ran.stderr.strip()}")


def training_operator(state: State, manifests: Path) -> None:
    """Install it and wait until its webhook lets a PyTorchJob through."""
    shipped = _rendered(manifests / "training-operator" / "overlays" / "standalone")
    kube.apply(state, addons.training_operator(shipped))
    kube.rollout(state, "kubeflow", "training-operator")
    _until_admitted(state, TRIAL)


def kueue(state: State, manifests: Path, *, on: bool) -> None:
    """Install it, or remove it with all of its objects."""
    objects = addons.kueue(_rendered(manifests / "kueue" / "default"))
    if not on:  # its own objects first: they are let go by a Kueue that runs
        definitions = [item for item in objects if item["kind"] == "CustomResourceDefinition"]
        kube.delete(state, definitions)
        kube.delete(state, [item for item in objects if item not in definitions])
        return
    kube.apply(state, objects)
    kube.rollout(state, "kueue-system", "kueue-controller-manager")
    _until_admitted(state, TRIAL)
    _until_admitted(state, FLAVOR)


def bucket(endpoint: str, s3: tuple[str, str]) -> None:
    """Make the bucket that tests write to."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=s3[0],
        aws_secret_access_key=s3[1],
        config=Config(connect_timeout=5, read_timeout=20, retries={"max_attempts": 5}),
    )
    client.create_bucket(Bucket=BUCKET)


def _rendered(folder: Path) -> str:
    ran = subprocess.run(
        [kubectl(), "kustomize", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(f"kubectl kustomize {folder} failed: {ran.stderr.strip()}")
    return ran.stdout


def _until_admitted(state: State, wanted: dict[str, Any], timeout: float = 90.0) -> None:
    """Webhooks get their certificates a while after their server is ready."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            kube.run(state, "create", "--dry-run=server", "-f", "-", text=json.dumps(wanted))
        except kube.Failed:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


CONTAINER = {"name": "pytorch", "image": addons.BUSYBOX}
REPLICA = {"replicas": 1, "template": {"spec": {"containers": [CONTAINER]}}}
TRIAL = {
    "apiVersion": "kubeflow.org/v1",
    "kind": "PyTorchJob",
    "metadata": {"name": "trial", "namespace": "default"},
    "spec": {"pytorchReplicaSpecs": {"Master": REPLICA}},
}
FLAVOR = {
    "apiVersion": "kueue.x-k8s.io/v1beta2",
    "kind": "ResourceFlavor",
    "metadata": {"name": "trial"},
    "spec": {},
}
