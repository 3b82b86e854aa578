"""Look into a cluster and disturb it."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testbed import control, install, kube, prerequisites
from testbed.layout import State, default_state

TABLE = "inet cupola"
STDIN = Path("/dev/stdin")


def main() -> None:
    """Parse the arguments and do it."""
    arguments = _parser().parse_args()
    state = State(arguments.state.resolve())
    try:
        arguments.act(state, arguments)
    except (RuntimeError, control.NotRunning, kube.Failed) as error:
        sys.exit(str(error))


def status(state: State, _: argparse.Namespace) -> None:
    """Each component: ready, process id in the cluster, how often it was started."""
    for name, told in control.ask(state, do="status").items():
        ready = "stopped" if told["held"] else "ready" if told["ready"] else "not ready"
        print(f"{name:20} {ready:10} pid {told['pid']:<6} starts {told['starts']}")


def environment(state: State, _: argparse.Namespace) -> None:
    """Lines for a shell: eval "$(e2e/cluster/ctl env)"."""
    control.supervisor(state)
    for line in state.environment.read_text().splitlines():
        print(f"export {line}")


def restart(state: State, arguments: argparse.Namespace) -> None:
    """SIGKILL; the supervisor starts it again; wait until it answers."""
    name = arguments.component
    before = control.ask(state, do="restart", name=name)[name]["starts"]
    _until(state, lambda told: told[name]["starts"] > before, f"{name} was not started again")
    control.wait_ready(state, [name])


def stop(state: State, arguments: argparse.Namespace) -> None:
    """SIGKILL, and it stays away until `start`."""
    name = arguments.component
    control.ask(state, do="stop", name=name)
    _until(state, lambda told: told[name]["pid"] == 0, f"{name} did not end")


def start(state: State, arguments: argparse.Namespace) -> None:
    """Start it again; wait until it answers."""
    control.ask(state, do="start", name=arguments.component)
    control.wait_ready(state, [arguments.component])


def execute(state: State, arguments: argparse.Namespace) -> None:
    """Run a command inside the namespaces, with this terminal; its exit code is ours."""
    words = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    command = control.enter(state, *(words or ["sh"]))
    os.execvp(command[0], command)


def cut(state: State, arguments: argparse.Namespace) -> None:
    """Drop every packet from and to a pod; with --keep-s3 it still reaches DNS and S3."""
    address = _address(state, arguments.pod)
    for name in ("cut", *(["storage"] if arguments.keep_s3 else [])):
        control.inside(state, "nft", f"add element {TABLE} {name} {{ {address} }}")
    print(address)


def mend(state: State, _: argparse.Namespace) -> None:
    """End every cut."""
    for name in ("cut", "storage"):
        control.inside(state, "nft", f"flush set {TABLE} {name}")


def kueue(state: State, arguments: argparse.Namespace) -> None:
    """Install Kueue, or remove it with all of its objects."""
    manifests = prerequisites.binaries() / "manifests"
    install.kueue(state, manifests, on=arguments.switch == "on")


def load(state: State, arguments: argparse.Namespace) -> None:
    """Import image archives (docker or OCI) into the node; - is the standard input."""
    for archive in arguments.archive:
        if archive != STDIN and not archive.is_file():
            raise RuntimeError(f"there is no image archive {archive}")
        begin = time.monotonic()
        install.load(state, archive)
        print(f"{archive.name}: {time.monotonic() - begin:.1f} s", file=sys.stderr)


def _until(
    state: State, true: Callable[[dict[str, Any]], bool], otherwise: str, timeout: float = 60.0
) -> None:
    """Ask for the status until it is as wanted; RuntimeError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not true(control.ask(state, do="status")):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{otherwise} in {timeout:.0f} s")
        time.sleep(control.TICK)


def _address(state: State, pod: str) -> str:
    """NAMESPACE/NAME -> the pod's address."""
    namespace, _, name = pod.rpartition("/")
    told = kube.run(state, "--namespace", namespace or "default", "get", "pod", name, "-o", "json")
    address: str = json.loads(told)["status"].get("podIP", "")
    if not address:
        raise RuntimeError(f"the pod {pod} has no address yet")
    return address


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="e2e/cluster/ctl", description=__doc__)
    parser.add_argument("--state", type=Path, default=default_state(), help="folder of the cluster")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    made = {}
    actions = (status, restart, stop, start, cut, mend, kueue, load)
    for name, act in {
        "env": environment,
        "exec": execute,
        **{a.__name__: a for a in actions},
    }.items():
        made[name] = verbs.add_parser(name, help=act.__doc__, description=act.__doc__)
        made[name].set_defaults(act=act)
    for name in ("restart", "stop", "start"):
        made[name].add_argument("component")
    made["exec"].add_argument("command", nargs=argparse.REMAINDER)
    made["cut"].add_argument("pod", help="NAMESPACE/NAME")
    made["cut"].add_argument("--keep-s3", action="store_true")
    made["kueue"].add_argument("switch", choices=["on", "off"])
    made["load"].add_argument(
        "archive", type=lambda name: STDIN if name == "-" else Path(name), nargs="+"
    )
    return parser


if __name__ == "__main__":
    main()
