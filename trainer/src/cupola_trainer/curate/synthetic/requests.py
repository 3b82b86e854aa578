"""What is asked for: a prompt about a document, and all that an answer depends on."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import xxhash

from cupola_api.artifact import canonical
from cupola_api.run import GenerateRun
from cupola_api.synthetic import PLACEHOLDER, Prompt

_SEEDS = 1 << 31


class Request(NamedTuple):
    """One answer to be written."""

    key: str
    """The document, and a hash of all that the answer depends on: who asks for the same has the same."""
    prompt: str
    """Name of the prompt."""
    system: str | None
    text: str
    """The prompt, with the document in it."""
    document: str
    """The document's key, 16 hex digits."""
    seed: int
    """Of sampling, below 2**31."""

    @property
    def bytes(self) -> int:
        """Size of what is said to the model: it has no more tokens, a few of the form left out."""
        return len(self.text.encode()) + len((self.system or "").encode())


def numbers(run: GenerateRun, share: int) -> range:
    """The requests of a share, by number."""
    first, last = (run.documents * i // run.shares for i in (share, share + 1))
    return range(first, last)


def prompt_of(run: GenerateRun, number: int, documents: int) -> Prompt:
    """The prompt of a request, of so many different documents.

    Prompts take turns; a document that comes again gets the next one.
    """
    return run.prompts[(number % documents + number // documents) % len(run.prompts)]


def request(run: GenerateRun, number: int, prompt: Prompt, document: int, text: str) -> Request:
    """The request `number`, about the document with that key and text."""
    seed = xxhash.xxh3_64_intdigest(f"{run.seed} {number}".encode()) % _SEEDS
    said = prompt.text.replace(PLACEHOLDER, text)
    depends = {
        "writer": _writer(run),
        "system": prompt.system,
        "prompt": said,
        "maxTokens": run.max_tokens,
        "temperature": run.temperature,
        "topP": run.top_p,
        "seed": seed,
    }
    about = f"{document:016x}"
    key = f"{about}-{hashlib.sha256(canonical(depends)).hexdigest()[:32]}"
    return Request(key, prompt.name, prompt.system, said, about, seed)


def _writer(run: GenerateRun) -> dict[str, str]:
    """The identity of the model."""
    if run.endpoint:
        return {"url": run.endpoint.url, "model": run.endpoint.model}
    if run.model:
        return {"digest": run.model.digest}
    return {"uri": run.hugging_face or ""}
