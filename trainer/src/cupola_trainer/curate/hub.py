"""Datasets of the Hugging Face hub, `hf://org/name[@revision][/config][#split]`, as files.

The library `datasets` says of which files a split of a configuration consists. They are fetched file
by file, checked against the sha256 that was listed, and read like any others: no code of a repository
is run. Endpoint, token, cache and offline mode are those of the library (HF_ENDPOINT, HF_TOKEN,
HF_HOME, HF_HUB_OFFLINE).
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from cupola_api.artifact import hash_file
from cupola_api.dataset import Source
from cupola_api.errors import plain
from cupola_api.outcome import FailureClass
from cupola_trainer.curate.sources import suffixes
from cupola_trainer.curate.spread import spread
from cupola_trainer.curate.unreadable import LONGEST
from cupola_trainer.failures import StoreError, storage_error
from cupola_trainer.pod import PodFailure

_SECONDS = 60
_AT_ONCE = 500
_SHOWN = 8
_URI = re.compile(
    r"hf://(?P<repo>[^@/#]+/[^@/#]+)(@(?P<revision>[^@/#]+))?(/(?P<config>[^@/#]+))?"
    r"(#(?P<split>[^@/#]+))?"
)
_SPLIT = "train"
_NO_CODE = "name a revision that consists of data files, such as @refs%2Fconvert%2Fparquet"


class HubFile(NamedTuple):
    """A file of a dataset on the hub."""

    path: str
    bytes: int
    sha256: str | None
    """None if the hub does not say it: of small files."""


def is_hub(source: Source) -> bool:
    """Whether a source is a dataset of the hub."""
    return source.uri.startswith("hf://")


def files(source: Source) -> tuple[str, list[HubFile]]:
    """The commit, and in it the files of a split, sorted.

    Raises PodFailure, or OSError if the hub does not answer.
    """
    wanted = _URI.fullmatch(source.uri)
    if not wanted:
        raise _failure(
            source, "SourceMissing", "that is no name of a dataset", "write hf://org/name"
        )
    repository, revision, config, split = wanted.group("repo", "revision", "config", "split")
    with _answered(source):
        from huggingface_hub import HfApi, constants, snapshot_download  # noqa: PLC0415

        if constants.HF_HUB_OFFLINE:
            folder = snapshot_download(
                repository,
                repo_type="dataset",
                revision=unquote(revision or "main"),
                local_files_only=True,
            )
            commit, prefix = Path(folder).name, f"{folder}/"
            there = _of_split(source, folder, None, config, split or _SPLIT)
        else:
            answer = HfApi().dataset_info(
                repository, revision=unquote(revision or "main"), timeout=_SECONDS
            )
            commit = str(answer.sha)
            prefix = f"hf://datasets/{repository}@{commit}/"
            there = _of_split(source, repository, commit, config, split or _SPLIT)
        paths = spread(sorted(one.removeprefix(prefix) for one in there), source.max_files)
        for path in paths:
            if not path.lower().endswith(suffixes(source.format)):
                raise _failure(
                    source,
                    "SourceEmpty",
                    f"{plain(path, LONGEST)} is no file of format {source.format}",
                    "correct the format, or name another config or split",
                )
        if constants.HF_HUB_OFFLINE:
            return commit, [HubFile(one, Path(prefix, one).stat().st_size, None) for one in paths]
        return commit, _known(repository, commit, paths)


def fetch(source: Source, commit: str, path: str) -> Path:
    """A file on this machine. Raises PodFailure, or OSError if the hub does not answer."""
    wanted = _URI.fullmatch(source.uri)
    repository = wanted["repo"] if wanted else ""
    with _answered(source):
        from huggingface_hub import hf_hub_download  # noqa: PLC0415

        return Path(hf_hub_download(repository, path, repo_type="dataset", revision=commit))


def digest(source: Source, commit: str, file: HubFile) -> str:
    """What is in a file, by hash: as the hub says, or by fetching it. Raises as `fetch`."""
    return file.sha256 or hash_file(fetch(source, commit, file.path))


def _of_split(
    source: Source, where: str, commit: str | None, config: str | None, split: str
) -> list[str]:
    """The addresses of the files of a split."""
    from datasets import load_dataset_builder  # noqa: PLC0415

    try:
        builder = load_dataset_builder(where, name=config, revision=commit)
    except ValueError as error:  # it names the configurations that there are
        why = plain(str(error), LONGEST)
        raise _failure(source, "SourceMissing", why, "write hf://org/name/config") from error
    except RuntimeError as error:  # there is a script
        why = plain(str(error), LONGEST)
        raise _failure(source, "SourceUnreadable", why, _NO_CODE) from error
    found = builder.config.data_files or {}
    if split not in found:
        known = ", ".join(plain(str(name), 40) for name in list(found)[:_SHOWN]) or "none"
        raise _failure(
            source, "SourceMissing", f"it has no split {split}", f"write #SPLIT, one of {known}"
        )
    return [str(one) for one in found[split]]


def _known(repository: str, commit: str, paths: Sequence[str]) -> list[HubFile]:
    """What the hub says of files."""
    from huggingface_hub import HfApi, RepoFile  # noqa: PLC0415

    found: dict[str, HubFile] = {}
    for i in range(0, len(paths), _AT_ONCE):
        for one in HfApi().get_paths_info(
            repository, list(paths[i : i + _AT_ONCE]), revision=commit, repo_type="dataset"
        ):
            if isinstance(one, RepoFile):
                sha256 = one.lfs.sha256 if one.lfs else None
                found[one.path] = HubFile(one.path, one.size, sha256)
    return [found[path] for path in paths]


@contextmanager
def _answered(source: Source) -> Iterator[None]:
    """Around requests to the hub: errors that are of the name, not of the hub, become PodFailure."""
    try:
        import datasets  # noqa: PLC0415
        from huggingface_hub import errors  # noqa: PLC0415
    except ImportError as error:
        raise _failure(
            source,
            "LibraryMissing",
            "this image has not the library datasets",
            "use one with cupola-trainer[hub]",
        ) from error
    try:
        yield
    except (
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
        datasets.exceptions.DatasetNotFoundError,
    ) as error:
        raise _failure(
            source,
            "SourceMissing",
            "the hub has no such dataset or revision, or wants a token for it",
            "correct the uri, or give the pod HF_TOKEN",
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise _failure(
            source,
            "SourceMissing",
            "it is not in the cache, and the hub may not be asked or does not answer",
            "put it there (HF_HOME), or unset HF_HUB_OFFLINE",
        ) from error
    except datasets.exceptions.DatasetsError as error:
        raise _failure(
            source,
            "SourceUnreadable",
            plain(str(error), LONGEST),
            _NO_CODE,
        ) from error
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]  # of whatever it asks with
        if isinstance(error, OSError) and storage_error(error):
            raise
        raise StoreError(
            errno.EIO,
            f"the hub does not answer: {plain(str(error), LONGEST)}",
            source.uri,
            reason="HubUnavailable",
            remedy="see to the network and HF_ENDPOINT; the next attempt asks again",
            failure=FailureClass.INFRASTRUCTURE,
        ) from error


def _failure(source: Source, reason: str, why: str, remedy: str) -> PodFailure:
    return PodFailure(
        reason,
        f"source {source.name}: {plain(source.uri, LONGEST)}: {why}; {remedy}",
        FailureClass.USER,
    )
