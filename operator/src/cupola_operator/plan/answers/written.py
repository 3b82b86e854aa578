"""What a Dataset's synthetic source takes at most, in a sentence of its plan."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import urlsplit

from cupola_api.dataset import Dataset
from cupola_api.quantities import people
from cupola_api.synthetic import PLACEHOLDER, Synthetic
from cupola_operator.plan.answers.data import BYTES_PER_TOKEN

_MILLION = 1_000_000


def notes(resource: Dataset, currency: str) -> list[str]:
    """A sentence if there is such a source, else none.

    What an endpoint takes is no cost of the run's pods, and so in no bill. Prompts are taken to be of
    letters of one byte, and as long as they may be; so are answers.
    """
    source = resource.spec.synthetic_source
    if source is None or source.synthetic is None:
        return []
    asked = source.synthetic
    read, written = tokens(asked)
    said = (
        f"its source {source.name} is {asked.documents:,} answers of {asked.model.said}, with up to "
        f"{people(read)} tokens of prompts and {people(written)} of answers"
    )
    return [f"{said}; {_price(asked, read, written, currency)}"]


def tokens(asked: Synthetic) -> tuple[int, int]:
    """Tokens of all prompts and of all answers, at most."""
    sizes = [
        len(one.text) - len(PLACEHOLDER) + len(one.system or "") + asked.seeds.max_characters
        for one in asked.prompts
    ]
    letters = asked.documents * sum(sizes) / len(sizes)
    return round(letters / BYTES_PER_TOKEN.low), asked.documents * asked.max_tokens


def _price(asked: Synthetic, read: int, written: int, currency: str) -> str:
    endpoint, budget = asked.model.endpoint, asked.budget
    ends = ""
    if budget:
        limits = [
            *([f"{budget.tokens} tokens"] if budget.tokens else []),
            *([f"{budget.max_cost} {currency}"] if budget.max_cost else []),
        ]
        ends = f"; its budget ends it at {' or '.join(limits)}"
    if endpoint is None:
        return (
            f"cupola plan --generate {people(written)} with the model's --size says what its pods "
            f"take{ends}"
        )
    host = urlsplit(endpoint.url).netloc
    if endpoint.price is None:
        return f"what {host} takes for that is not known without its price{ends}"
    each = Decimal(endpoint.price.input_per_million), Decimal(endpoint.price.output_per_million)
    most = (read * each[0] + written * each[1]) / _MILLION
    return f"{host} takes up to {float(most):.3g} {currency} for that, besides the run's pods{ends}"
