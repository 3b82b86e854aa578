"""A tokenizer that a person gives: a tokenizer.json, as Hugging Face's libraries write it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from cupola_api.dataset import NamedFile
from cupola_api.errors import plain
from cupola_api.outcome import FailureClass
from cupola_trainer import storage
from cupola_trainer.curate import tokenizer, unreadable
from cupola_trainer.curate.listing import SourceFile
from cupola_trainer.curate.references import as_source
from cupola_trainer.curate.sources import place_in
from cupola_trainer.pod import PodFailure
from cupola_trainer.shards import SPECIAL_TOKENS

MAX_BYTES = 64 << 20
"""The largest file."""


def take(source: NamedFile, files: Sequence[SourceFile], folder: Path) -> None:
    """Take the tokenizer of a file, which was listed.

    The end and pad tokens are added if it lacks them. What it would add at the ends of a text is
    left out: documents are closed here. Raises PodFailure if it is no tokenizer, or OSError.
    """
    listed = as_source(source)
    if len(files) != 1 or files[0].bytes > MAX_BYTES:
        raise _invalid(source, f"is not one file of {MAX_BYTES >> 20} MiB at most")
    try:
        data = storage.read(place_in(listed, files[0].path))
    except OSError as error:
        raise unreadable.failure(listed, source.uri, error) from error
    if hashlib.sha256(data).hexdigest() != files[0].sha256:
        raise unreadable.changed(listed, source.uri)
    try:
        described = json.loads(data)
        described |= {"post_processor": None, "truncation": None, "padding": None}
        made = Tokenizer.from_str(json.dumps(described))
    except Exception as error:  # the library raises nothing narrower
        raise _invalid(source, f"is no tokenizer.json ({plain(str(error), 100)})") from error
    made.add_special_tokens([*SPECIAL_TOKENS])  # those that it has keep their ids
    tokenizer.save(made, folder)


def _invalid(source: NamedFile, why: str) -> PodFailure:
    return PodFailure(
        "TokenizerInvalid",
        f"{plain(source.uri, unreadable.LONGEST)} {why}; name a tokenizer.json in "
        "spec.tokenizer.uri",
        FailureClass.USER,
    )
