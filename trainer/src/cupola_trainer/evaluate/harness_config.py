"""A task of lm-evaluation-harness from a folder, as data: nothing in it is run or downloaded.

The harness trusts task files: a YAML tag names Python code to run, templates are Jinja, a metric or
a data set may come from the network. A folder in storage is not trusted like that: what is not
known to be data is refused here, with a sentence that says what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from cupola_api.artifact import digest_of, hash_file
from cupola_api.outcome import FailureClass
from cupola_trainer.pod import PodFailure

MAX_BYTES = 1 << 20
"""Largest YAML file that is read."""

KEYS = frozenset(
    {
        "dataset_kwargs",
        "dataset_path",
        "description",
        "doc_to_choice",
        "doc_to_target",
        "doc_to_text",
        "fewshot_config",
        "fewshot_delimiter",
        "fewshot_split",
        "filter_list",
        "gen_prefix",
        "generation_kwargs",
        "metadata",
        "metric_list",
        "num_fewshot",
        "output_type",
        "repeats",
        "target_delimiter",
        "task",
        "task_alias",
        "test_split",
        "training_split",
        "validation_split",
    }
)
"""Fields of a task file that are data and mean something here."""

IGNORED = frozenset({"group", "include", "tag"})
"""Fields that sort tasks, or that were already followed."""

METRICS = frozenset(
    {
        "acc",
        "acc_bytes",
        "acc_mutual_info",
        "acc_norm",
        "bits_per_byte",
        "bleu",
        "brier_score",
        "byte_perplexity",
        "chrf",
        "exact_match",
        "f1",
        "likelihood",
        "mcc",
        "perplexity",
        "ter",
        "word_perplexity",
    }
)
"""Metrics of the harness itself; any other name would be looked up on the network."""

FORMATS = frozenset({"csv", "json", "parquet", "text"})
"""Readers of data files."""

GENERATION = frozenset(
    {
        "do_sample",
        "max_gen_toks",
        "num_beams",
        "repetition_penalty",
        "temperature",
        "top_k",
        "top_p",
        "until",
    }
)
"""Settings of generation that cannot load code."""


def load(folder: Path, name: str) -> dict[str, Any]:
    """The configuration of task `name` among the *.yaml files of a folder, data files resolved.

    Raises PodFailure where there is none, or where it is not plain data.
    """
    try:
        paths = sorted(p for p in folder.rglob("*.yaml") if p.is_file())
    except OSError as error:
        raise _refusal(
            folder, f"cannot be read: {error.strerror}; check spec.tasks[].harness.data"
        ) from error
    for path in paths:
        config, code = _read(path)
        if config.get("task") == name:
            merged, code = _with_includes(path, config, code, folder, seen={path.resolve()})
            if code:
                raise _refusal(
                    path,
                    f"names Python code (!function {code[0]}), which is never run from a store; "
                    "write the field as a Jinja template",
                )
            return _checked(path, folder, merged)
    raise _refusal(
        folder,
        f"has no task {name!r} in its {len(paths)} *.yaml files; "
        "check spec.tasks[].harness.task and .data",
    )


def digest(folder: Path) -> str:
    """The identity of a task's folder: of the names and contents of its files."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return digest_of({p.relative_to(folder).as_posix(): hash_file(p) for p in files})


def _refusal(path: Path, why: str) -> PodFailure:
    return PodFailure("HarnessTaskInvalid", f"{path.name} {why}", FailureClass.USER)


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    """A YAML file, and the code that it names; the place of the code holds None."""
    code: list[str] = []

    class Loader(yaml.SafeLoader):
        """Plain YAML, and the harness's tag for code, which is noted and not followed."""

    def note(loader: yaml.SafeLoader, node: yaml.Node) -> None:
        code.append(str(node.value)[:80])

    Loader.add_constructor("!function", note)
    if path.stat().st_size > MAX_BYTES:
        raise _refusal(path, f"has more than {MAX_BYTES} bytes; a task file is a few lines")
    try:
        # A loader made from SafeLoader: the rule cannot see that.
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise _refusal(path, f"is not YAML: {first}") from error
    return (value if isinstance(value, dict) else {}), code


def _with_includes(
    path: Path, config: dict[str, Any], code: list[str], folder: Path, seen: set[Path]
) -> tuple[dict[str, Any], list[str]]:
    """A configuration over those that it includes, and all the code that they name."""
    includes = config.get("include", [])
    merged: dict[str, Any] = {}
    for include in includes if isinstance(includes, list) else [includes]:
        found = _inside(path, path.parent, folder, include)
        if found in seen:
            raise _refusal(path, f"includes {include}, which includes it again; remove one")
        other, more = _read(found)
        other, more = _with_includes(found, other, more, folder, seen | {found})
        merged |= other
        code = code + more
    return merged | config, code


def _inside(path: Path, base: Path, folder: Path, name: Any) -> Path:
    """A file that a task file names, which must lie in the task's folder."""
    text = str(name)
    pure = PurePosixPath(text)
    if "://" in text or "::" in text or pure.is_absolute():
        raise _refusal(path, f"names {text}; write a path relative to the task's folder")
    found = (base / pure).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise _refusal(path, f"names {text}, which is outside the task's folder; copy it there")
    if not found.is_file():
        raise _refusal(path, f"names {text}, which is not there; copy it to the task's folder")
    return found


def _checked(path: Path, folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with data files as paths of this machine, or PodFailure."""
    _only(path, "field", config, KEYS | IGNORED)
    config = {key: value for key, value in config.items() if key in KEYS}
    if config.get("dataset_path") not in FORMATS:
        raise _refusal(
            path,
            f"has dataset_path {config.get('dataset_path')!r}: nothing is downloaded; put the data "
            f"in the folder, write one of {', '.join(sorted(FORMATS))} and name the files in "
            "dataset_kwargs.data_files",
        )
    arguments = _map(path, "dataset_kwargs", config)
    _only(path, "dataset_kwargs field", arguments, {"data_files"})
    files = arguments.get("data_files")
    splits = files if isinstance(files, dict) else {"train": files}
    config["dataset_kwargs"] = {
        "data_files": {
            str(split): [
                str(_inside(path, folder, folder, name))
                for name in (names if isinstance(names, list) else [names])
            ]
            for split, names in splits.items()
        }
    }
    if "generation_kwargs" in config:
        _only(path, "generation_kwargs field", _map(path, "generation_kwargs", config), GENERATION)
    for metric in config.get("metric_list") or []:
        if not isinstance(metric, dict) or "hf_evaluate" in metric:
            raise _refusal(path, "has a metric_list that is not of the form `- metric: NAME`")
        _only(path, "metric", [metric.get("metric")], METRICS)
    return config


def _map(path: Path, field: str, config: dict[str, Any]) -> dict[str, Any]:
    value = config.get(field)
    if not isinstance(value, dict):
        raise _refusal(path, f"has no map in {field}; write one")
    return value


def _only(path: Path, what: str, names: Iterable[Any], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise _refusal(
                path, f"has the {what} {name}, which is not supported: {', '.join(sorted(known))}"
            )
