"""Copies of a model that write text: on how many devices they fit, and how long they take."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from cupola_operator.plan.anatomy import parameters
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.answers import writing
from cupola_operator.plan.speed.hardware import Machine

AT_ONCE = 256
"""Answers that a copy writes side by side at most: what vLLM has set if nobody says otherwise."""

USED = 0.9
"""Of the memory of a device, so much is for weights, keys and values: vLLM's own share; the rest is for
what a pass computes."""


@dataclass(frozen=True)
class Text:
    """What is written."""

    tokens: int
    """Of all answers together; their prompts do not count."""
    answer: int = 512
    """Tokens of an answer, on average."""
    prompt: int = 256
    """Tokens of the prompt of each answer."""

    @property
    def answers(self) -> int:
        """How many answers that is."""
        return math.ceil(self.tokens / self.answer)


@dataclass(frozen=True)
class Copy:
    """A copy of the model on some devices of a node."""

    tensor: int
    room: int
    """Answers that have room side by side."""
    weights: int
    """Bytes on a device."""
    cache: int
    """Bytes of keys and values of an answer on a device, when it is whole."""


def fitting(
    model: Model, machine: Machine, text: Text, *, precision: str, devices: int
) -> Iterator[Copy]:
    """The ways to hold a copy: 1, 2, 4 ... devices of a node that share heads evenly."""
    count = parameters.count(model).total * writing.width(precision)
    tensor = 1
    while tensor <= min(devices, machine.gpus):
        weights = math.ceil(count / tensor)
        cache = (text.prompt + text.answer) * writing.cache(model, tensor, precision)
        room = int(USED * machine.gpu.memory - weights) // cache
        if room >= 1 and model.heads % tensor == 0:
            yield Copy(tensor, min(room, AT_ONCE), weights, cache)
        tensor *= 2


def seconds(
    model: Model, machine: Machine, text: Text, copy: Copy, *, precision: str, copies: int
) -> float:
    """Seconds until the copy with most answers has written them, at the roofline.

    As answers end others take their place, so that a copy always has `side` of them under way, half
    written on average.
    """
    each = math.ceil(text.answers / copies)
    side = min(copy.room, each)

    def passing(tokens: int, before: float) -> float:
        return writing.seconds(
            model,
            machine,
            sequences=side,
            each=tokens,
            before=before,
            tensor=copy.tensor,
            precision=precision,
        )

    write = text.answer * passing(1, text.prompt + text.answer / 2)
    return each / side * (passing(text.prompt, 0) + write)
