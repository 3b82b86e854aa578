"""Start a cluster: `make cluster-up`."""

import argparse
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from testbed import certificates, cgroups, configs, control, host, install, kube, prerequisites
from testbed.addons import base
from testbed.configs import USERS, kubeconfig
from testbed.down import down
from testbed.layout import NODE, PORTS, REGION, ROOT, State, default_state
from testbed.prepare import prepare
from testbed.steps import Steps


def main() -> None:
    """Parse the arguments; leave a running cluster or nothing."""
    parser = argparse.ArgumentParser(prog="e2e/cluster/up", description=__doc__)
    parser.add_argument("--state", type=Path, default=default_state(), help="folder of the cluster")
    parser.add_argument(
        "--without-kueue", action="store_true", help="Kueue can be added: ctl kueue on"
    )
    arguments = parser.parse_args()
    state = State(arguments.state.resolve())
    if control.running(state):
        print(f"a cluster runs already: export KUBECONFIG={state.kubeconfig}", file=sys.stderr)
        return
    steps = Steps()
    try:
        up(state, steps, with_kueue=not arguments.without_kueue)
    except BaseException as error:
        down(state)
        if isinstance(error, KeyboardInterrupt):
            sys.exit("interrupted; everything was taken down")
        if isinstance(error, (RuntimeError, control.NotRunning, kube.Failed)):
            sys.exit(f"the cluster did not start and was taken down: {error}")
        raise
    steps.say(f"up. export KUBECONFIG={state.kubeconfig}   (addresses: {state.environment})")


def up(state: State, steps: Steps, *, with_kueue: bool) -> None:
    """All steps, in order."""
    built = prepare(steps, prerequisites.DEBIAN)
    down(state)  # what a cluster that was killed may have left
    with steps("files"):
        tokens = {name: secrets.token_hex(16) for name in USERS}
        s3 = ("cupola", secrets.token_hex(16))
        authority = write_files(state, tokens, s3)
    doors = {name: socket.create_server(("127.0.0.1", 0)) for name in PORTS}
    ports = {name: door.getsockname()[1] for name, door in doors.items()}
    with steps("processes"):
        leash = start(state, prerequisites.programs(built), doors)
        write_addresses(state, ports, kubeconfig_of(ports["api"], authority, tokens["admin"]), s3)
        busybox = Path(shutil.which("busybox") or "/bin/busybox").resolve()
        archives = install.write_images(state.folder / "images", built, busybox)
        control.wait_ready(state, ["containerd"])
        for archive in archives:
            install.load(state, archive)
            archive.unlink()
        control.wait_ready(state, ["apiserver"])
        kube.apply(state, base(s3))
        control.wait_ready(state, timeout=180)
    with steps("node"):
        kube.run(state, "wait", f"node/{NODE}", "--for=condition=Ready", "--timeout=60s")
        install.bucket(f"http://127.0.0.1:{ports['s3']}", s3)
    with steps("training operator"):
        install.training_operator(state, built / "manifests")
    if with_kueue:
        with steps("Kueue"):
            install.kueue(state, built / "manifests", on=True)
    os.write(leash, b"detach")
    os.close(leash)


def write_files(state: State, tokens: dict[str, str], s3: tuple[str, str]) -> str:
    """Certificates and configurations; returns the CA's certificate."""
    state.folder.mkdir(parents=True, exist_ok=True)
    state.mark.touch()
    etc = state.folder / "etc"
    etc.mkdir()
    state.folder.chmod(0o700)
    certificates.write(etc)
    authority = (etc / "ca.crt").read_text()
    kind = subprocess.run(
        ["stat", "--file-system", "--format=%T", etc],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    ).stdout.strip()
    snapshotter = "native" if kind.startswith("overlay") else "overlayfs"
    for name, text in configs.files(tokens, authority, state.cgroup, s3, snapshotter).items():
        path = etc / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return authority


def kubeconfig_of(port: int, authority: str, token: str) -> str:
    """The administrator's, for the host."""
    return json.dumps(kubeconfig(f"https://127.0.0.1:{port}", authority, token), indent=1)


def write_addresses(state: State, ports: dict[str, int], config: str, s3: tuple[str, str]) -> None:
    """The kubeconfig and the environment for the host, readable by its owner alone."""
    values = {
        "KUBECONFIG": state.kubeconfig,
        "CUPOLA_CLUSTER": state.folder,
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{ports['s3']}",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": s3[0],
        "AWS_SECRET_ACCESS_KEY": s3[1],
        "PROMETHEUS_URL": f"http://127.0.0.1:{ports['prometheus']}",
    }
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    for path, text in ((state.kubeconfig, config), (state.environment, lines)):
        path.touch(mode=0o600)
        path.write_text(text)


def start(state: State, programs: dict[str, str], doors: dict[str, socket.socket]) -> int:
    """Start the supervisor in new namespaces; returns the pipe that it watches until `detach`."""
    cgroups.create(state.cgroup)
    read, write = os.pipe()
    listeners = {name: door.fileno() for name, door in doors.items()}
    settings = {"state": str(state.folder), "programs": programs, "leash": read}
    told = json.dumps({**settings, "listeners": listeners})
    log = state.folder / "supervisor.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["unshare", *host.NAMESPACES, sys.executable, "-m", "testbed.supervisor", told],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": str(ROOT / "e2e/cluster")},
            pass_fds=[read, *listeners.values()],
            start_new_session=True,
        )
    os.close(read)
    for door in doors.values():
        door.close()
    deadline = time.monotonic() + 30
    while not control.running(state):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the supervisor did not start: {log.read_text().strip()}")
        time.sleep(0.05)
    return write


if __name__ == "__main__":
    main()
