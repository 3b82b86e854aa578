"""Where the API server is and who the operator is to it: from the pod, or from a kubeconfig."""

from __future__ import annotations

import os
from typing import Any

import yaml
from kubernetes import config
from kubernetes.client import Configuration


class NoCluster(Exception):
    """No cluster is configured; the message says what was looked for."""


def configuration() -> Any:
    """The connection of this process: $KUBECONFIG, else the pod's service account, else ~/.kube.

    The token of a service account is read again each minute, as Kubernetes replaces it. Raises
    NoCluster.
    """
    found: Any = Configuration()  # its stubs lack what is used here
    try:
        path = os.environ.get("KUBECONFIG")
        if not path and os.environ.get("KUBERNETES_SERVICE_HOST"):
            config.load_incluster_config(client_configuration=found)
        else:
            config.load_kube_config(config_file=path or None, client_configuration=found)
    except (config.ConfigException, OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise NoCluster(
            f"no cluster is configured ({' '.join(str(error).split())}); run the operator in a pod, or set KUBECONFIG to a "
            "kubeconfig file"
        ) from error
    # Retries are ours: see `api`.
    found.retries = False
    found.connection_pool_maxsize = 16
    return found


def authorization(used: Any) -> dict[str, str]:
    """The header that says who asks; empty where a client certificate does. Never to be logged."""
    header = used.get_api_key_with_prefix("BearerToken")
    if header:
        return {"Authorization": header}
    basic = used.get_basic_auth_token() if used.username and used.password else None
    return {"Authorization": basic} if basic else {}
