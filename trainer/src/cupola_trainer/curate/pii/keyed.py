"""Placeholders that are the same for the same finding, and tell nothing else without a key.

There are so few telephone numbers, addresses and card numbers that whoever knows how they were hashed
tries them all. So the hash is keyed (BLAKE2b, RFC 7693), and the key is a secret that no file of a run
holds.
"""

from __future__ import annotations

import hashlib
import os

from cupola_api.dataset import PII_KEY
from cupola_api.outcome import FailureClass
from cupola_trainer.pod import PodFailure

_LEAST = 16
_LETTERS = bytes.maketrans(b"0123456789abcdef", b"abcdefghijklmnop")
"""Hex digits as letters: digits might be found again as a number."""


def key_from_environment() -> bytes:
    """The key of this pod. Raises PodFailure if there is none, or if it is short."""
    key = os.environ.get(PII_KEY, "").encode()
    if len(key) < _LEAST:
        raise PodFailure(
            "KeyMissing",
            f"spec.curation.pii.action is Hash and the variable {PII_KEY} holds no key of {_LEAST} "
            "characters or more: put one into a Secret and name that in "
            "spec.podTemplate.envFromSecrets",
            FailureClass.USER,
        )
    return hashlib.sha256(key).digest()


def check(key: bytes) -> str:
    """What tells two keys apart and gives neither away."""
    return hashlib.blake2b(b"check", key=key, digest_size=8).hexdigest()


def placeholder(kind: bytes, finding: bytes, key: bytes) -> bytes:
    """`<EMAIL:...>` for the kind `<EMAIL>`: equal for findings with the same letters and digits."""
    plain = bytes(byte for byte in finding.lower() if byte > 127 or chr(byte).isalnum())
    digest = hashlib.blake2b(kind + plain, key=key, digest_size=8).hexdigest().encode()
    return kind[:-1] + b":" + digest.translate(_LETTERS) + b">"
