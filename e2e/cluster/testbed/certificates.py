"""A certificate authority that lives as long as the cluster, and the four keys it needs."""

import subprocess
from pathlib import Path

from testbed.layout import DOMAIN, NODE, NODE_IP

DAYS = "30"

API_NAMES = (
    "DNS:localhost",
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    f"DNS:kubernetes.default.svc.{DOMAIN}",
    "IP:127.0.0.1",
    "IP:10.96.0.1",
    f"IP:{NODE_IP}",
)
"""Every name by which somebody calls the API server: 127.0.0.1 is the host's forwarder."""


def write(folder: Path) -> None:
    """CA, the API server's and the kubelet's certificates, and the key of service accounts."""
    key_pair(folder, "ca", "/CN=cupola-e2e", (), signer=None)
    key_pair(folder, "apiserver", "/CN=kube-apiserver", API_NAMES)
    key_pair(folder, "apiserver-client", "/CN=kube-apiserver-kubelet-client", ())
    key_pair(folder, "kubelet", f"/CN={NODE}", (f"DNS:{NODE}", f"IP:{NODE_IP}"))
    account = folder / "service-account.key"
    _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", account)
    _openssl("pkey", "-in", account, "-pubout", "-out", folder / "service-account.pub")


def key_pair(
    folder: Path, name: str, subject: str, names: tuple[str, ...], signer: str | None = "ca"
) -> None:
    """`name`.key and `name`.crt in `folder`; without `signer` an authority that signs itself."""
    extensions = ["basicConstraints=critical,CA:TRUE"] if signer is None else []
    if names:
        extensions.append(f"subjectAltName={','.join(names)}")
    if signer is not None:
        extensions.append("extendedKeyUsage=serverAuth,clientAuth")
    arguments: list[str | Path] = ["req", "-x509", "-newkey", "ec", "-noenc", "-days", DAYS]
    arguments += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", subject]
    arguments += ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"]
    if signer is not None:
        arguments += ["-CA", folder / f"{signer}.crt", "-CAkey", folder / f"{signer}.key"]
    for extension in extensions:
        arguments += ["-addext", extension]
    _openssl(*arguments)


def _openssl(*arguments: str | Path) -> None:
    ran = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"openssl {arguments[0]} failed: {ran.stderr.strip()}")
