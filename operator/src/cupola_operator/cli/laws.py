"""The file of a scaling law: what `cupola ladder --fit` writes and `cupola plan --law` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from cupola_api.base import Model
from cupola_operator.plan.answers.loss import Law, Own

MAX_BYTES = 1 << 20


class LawInvalid(Exception):
    """A file holds no scaling law; a sentence says so."""


class _Constants(Model):
    """L = e + a / N^alpha + b / D^beta, nats a token."""

    e: float = Field(gt=0, le=1e3, allow_inf_nan=False)
    a: float = Field(gt=0, le=1e300, allow_inf_nan=False)
    b: float = Field(gt=0, le=1e300, allow_inf_nan=False)
    alpha: float = Field(gt=0, le=10)
    beta: float = Field(gt=0, le=10)

    def law(self) -> Law:
        """The law."""
        return Law(self.e, self.a, self.b, self.alpha, self.beta)


class _Document(Model):
    kind: Literal["ScalingLaw"]
    name: str = Field(max_length=63)
    runs: int = Field(ge=1)
    exponents: Literal["Fitted", "Published"]
    constants: _Constants
    scatter: float = Field(ge=0, le=10)
    parameters: tuple[float, float]
    tokens: tuple[float, float]
    draws: list[_Constants] = Field(max_length=1000)


def read(path: Path) -> Own:
    """The law in a file. Raises OSError and LawInvalid."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        value = yaml.safe_load(data) if len(data) <= MAX_BYTES else None
        found = _Document.model_validate(value)
    except (yaml.YAMLError, RecursionError, ValidationError, ValueError) as error:
        raise LawInvalid(
            f"{path} holds no scaling law; write one with cupola ladder --fit -o yaml"
        ) from error
    return Own(
        name=found.name,
        law=found.constants.law(),
        draws=tuple(draw.law() for draw in found.draws),
        scatter=found.scatter,
        runs=found.runs,
        parameters=found.parameters,
        tokens=found.tokens,
        free=found.exponents == "Fitted",
    )


def document(own: Own) -> dict[str, Any]:
    """The law as plain values; `read` understands them."""
    return {
        "kind": "ScalingLaw",
        "name": own.name,
        "runs": own.runs,
        "exponents": "Fitted" if own.free else "Published",
        "constants": _constants(own.law),
        "scatter": _short(own.scatter),
        "parameters": list(own.parameters),
        "tokens": list(own.tokens),
        "draws": [_constants(draw) for draw in own.draws],
    }


def _constants(law: Law) -> dict[str, float]:
    return {name: _short(value) for name, value in vars(law).items()}


def _short(value: float) -> float:
    return float(f"{value:.8g}")
