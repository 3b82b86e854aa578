"""kubectl, from the host, as an administrator of the cluster."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from testbed.layout import State
from testbed.prerequisites import kubectl


class Failed(Exception):
    """kubectl did not do it; the message is what it said."""


def run(state: State, *arguments: str, text: str = "", timeout: float = 180.0) -> str:
    """One command; Failed when it fails or takes longer."""
    command = [kubectl(), f"--kubeconfig={state.kubeconfig}", *arguments]
    try:
        ran = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"kubectl {arguments[0]} took longer than {timeout:.0f} s") from error
    if ran.returncode:
        raise Failed(f"kubectl {' '.join(arguments[:3])}: {ran.stderr.strip()}")
    return ran.stdout


def apply(state: State, objects: Sequence[dict[str, Any]]) -> None:
    """Server-side apply, as `cupola-e2e`."""
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    options = ("--server-side", "--force-conflicts", "--field-manager=cupola-e2e")
    run(state, "apply", *options, "-f", "-", text=json.dumps(listed))


def delete(state: State, objects: Sequence[dict[str, Any]]) -> None:
    """Delete them and wait; those that are gone are no error."""
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    run(state, "delete", "--ignore-not-found", "-f", "-", text=json.dumps(listed))


def rollout(state: State, namespace: str, deployment: str) -> None:
    """Until its pods are ready."""
    target = f"deployment/{deployment}"
    run(state, "--namespace", namespace, "rollout", "status", target, "--timeout=150s")
