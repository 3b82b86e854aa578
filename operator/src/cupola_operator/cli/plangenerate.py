"""What `cupola plan --generate` asks for: synthetic text, and an endpoint to compare with."""

from __future__ import annotations

from collections.abc import Mapping

from cupola_operator.cli import options
from cupola_operator.plan.answers.generating import Endpoint, Text
from cupola_operator.plan.answers.sized import Asked

_LONGEST = 1_048_576


def text(generate: str, answer: int | None, prompt: int | None) -> Text:
    """The text of --generate, --answer and --prompt. Raises Invalid."""
    tokens = options.count("--generate", generate)
    each = options.whole("--answer", answer, _LONGEST) or Text.answer
    return Text(
        tokens=tokens,
        answer=min(each, tokens),
        prompt=options.whole("--prompt", prompt, _LONGEST) or Text.prompt,
    )


def endpoint(prices: str, currency: str) -> Endpoint:
    """The endpoint of --price-per-million: the price in, a comma, the price out. Raises Invalid."""
    option = "--price-per-million"
    parts = [part.strip() for part in prices.split(",")]
    if len(parts) != 2:
        raise options.Invalid(
            f"{option}: {prices!r} is not two prices; write that of a million tokens in, a comma, and "
            "that of a million out, such as 0.25,1.25"
        )
    read, written = (options.amount(option, part) for part in parts)
    return Endpoint(read, written, currency)


def alone(others: Mapping[str, object]) -> None:
    """Refuse options that say something else than --generate does. Raises Invalid."""
    for option in (name for name, value in others.items() if value is not None):
        raise options.Invalid(
            f"--generate plans text that a model of --size writes, and {option} says something else; "
            "leave one of them out"
        )


def only(own: Mapping[str, object]) -> None:
    """Refuse options that are about --generate where it is missing. Raises Invalid."""
    for option in (name for name, value in own.items() if value is not None):
        raise options.Invalid(f"{option} is about synthetic text; say how much with --generate 1B")


def sized(asked: Asked) -> Asked:
    """The question, which must say the model's size. Raises Invalid."""
    if not asked.size:
        raise options.Invalid("--generate: say how large the model is that writes, such as --size 7B")
    return asked
