"""What `cupola plan --generate` asks for: synthetic text, and an endpoint to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cupola_operator.cli import options
from cupola_operator.plan.answers import generating
from cupola_operator.plan.answers.copies import Text
from cupola_operator.plan.answers.generating import Endpoint
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.plan.answers.sized import Asked
from cupola_operator.plan.speed.hardware import Machine

_LONGEST = 1_048_576


@dataclass(frozen=True)
class Wanted:
    """What is to be written."""

    text: Text
    prices: str | None
    """What --price-per-million says."""


def wanted(
    generate: str | None,
    answer: str | None,
    prompt: str | None,
    prices: str | None,
    *,
    others: Mapping[str, object],
) -> Wanted | None:
    """What --generate and the options about it say; None without it.

    `others`: options that say something else. Raises Invalid.
    """
    if generate is None:
        about = {"--answer": answer, "--prompt": prompt, "--price-per-million": prices}
        for option in _given(about):
            raise options.Invalid(f"{option} is about synthetic text; say --generate 1B too")
        return None
    for option in _given(others):
        raise options.Invalid(
            f"--generate plans text that a model of --size writes, and {option} says something else; "
            "leave one of them out"
        )
    tokens = options.count("--generate", generate)
    text = Text(
        tokens=tokens,
        answer=min(tokens, options.whole("--answer", answer, _LONGEST) or Text.answer),
        prompt=options.whole("--prompt", prompt, _LONGEST) or Text.prompt,
    )
    return Wanted(text, prices)


def plan(asked: Asked, wanted: Wanted, others: Sequence[Machine]) -> Plan:
    """The plan of the text. Raises Invalid; refuses what `generating.plan` does."""
    if not asked.size:
        raise options.Invalid("--generate: say how large the model that writes is, with --size 7B")
    currency = asked.machine.price.currency
    endpoint = None if wanted.prices is None else _endpoint(wanted.prices, currency)
    return generating.plan(asked, wanted.text, others=others, endpoint=endpoint)


def _given(named: Mapping[str, object]) -> list[str]:
    """The options that were said."""
    return [option for option, value in named.items() if value is not None]


def _endpoint(prices: str, currency: str) -> Endpoint:
    """The endpoint whose price of a million tokens in and out is `in,out`. Raises Invalid."""
    option = "--price-per-million"
    parts = [part.strip() for part in prices.split(",")]
    if len(parts) != 2:
        raise options.Invalid(
            f"{option}: {prices!r} is not two prices; write that of a million tokens in, a comma, and "
            "that of a million out, such as 0.25,1.25"
        )
    read, written = (options.amount(option, part) for part in parts)
    return Endpoint(read, written, currency)
