"""A model of the Hugging Face hub at a commit, on this machine: no file of it is code.

Endpoint, token, cache and offline mode are those of the library (HF_ENDPOINT, HF_TOKEN, HF_HOME,
HF_HUB_OFFLINE).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cupola_api.outcome import FailureClass
from cupola_trainer.pod import PodFailure

_SECONDS = 60


def fetch(uri: str, patterns: Sequence[str]) -> Path:
    """The folder with the files whose names fit one of `patterns`.

    Raises PodFailure if there is no such model, or the hub does not answer.
    """
    from huggingface_hub import errors, snapshot_download  # noqa: PLC0415  it reads the environment

    repository, _, commit = uri.removeprefix("hf://").partition("@")
    try:
        return Path(
            snapshot_download(
                repository,
                revision=commit,
                allow_patterns=[*patterns],
                etag_timeout=_SECONDS,
                max_workers=4,
            )
        )
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise PodFailure(
            "ModelMissing",
            f"there is no model {uri} on the hub, or it needs a token: correct "
            "synthetic.model.huggingFace, or give the pod HF_TOKEN by podTemplate.envFromSecrets",
            FailureClass.USER,
        ) from error
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]  # of whatever it asks with
        raise PodFailure(
            "HubFailed",
            f"the hub does not give {uri} ({type(error).__name__}); see to the network, or to what is "
            "in its cache",
            FailureClass.INFRASTRUCTURE,
        ) from error
