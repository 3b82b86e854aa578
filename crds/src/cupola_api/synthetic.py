"""A source of a Dataset whose documents a language model writes."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from cupola_api.amounts import Amount
from cupola_api.base import Model, Rule, Ruled
from cupola_api.common import Digest, Lineage, ModelReference, Name
from cupola_api.filters import ListName
from cupola_api.pods import ObjectName
from cupola_api.quantities import Count, Duration, Money
from cupola_api.training import Pools

PLACEHOLDER = "{text}"
"""What stands in a prompt for the document that it is about."""

ENDPOINT_KEY = "CUPOLA_ENDPOINT_KEY"
"""Environment variable of the pods that ask an endpoint: its key."""

COMMIT = r"^hf://[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*@[0-9a-f]{40}$"
"""Pattern of a model of the Hugging Face hub at a commit."""

URL = r"^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*$"
"""No user or password before the host, nothing after the path: a key there would be seen by all."""

MODEL = r"^[^\x00-\x20\x7f]+$"
"""Pattern of a model of an endpoint."""

ENTRY = r"^[-._a-zA-Z0-9]+$"
"""Pattern of an entry of a Secret."""

_OTHER = (
    "[{]([a-su-z][a-z]*|t|t[a-df-z][a-z]*|te|te[a-wyz][a-z]*|tex|tex[a-su-z][a-z]*|text[a-z]+)[}]"
)
"""Pattern of a word of small letters in curly brackets, other than {text}."""


class Prompt(Ruled):
    """What is asked about a document."""

    rules: ClassVar = (
        Rule(
            f"self.text.contains('{PLACEHOLDER}')",
            "a prompt must hold {text}, which stands for the document that it is about",
        ),
        Rule(
            f"!self.text.matches('{_OTHER}')",
            "a prompt knows the placeholder {text} alone; write a space inside other curly brackets",
        ),
    )

    name: ListName = Field(description="Its name in what is made.")
    text: str = Field(
        min_length=1,
        max_length=4096,
        description="The prompt; {text} stands for the document that it is about.",
    )
    system: str | None = Field(
        None, min_length=1, max_length=4096, description="Said to the model before it."
    )


class SecretKey(Model):
    """An entry of a Secret of the resource's namespace, one that the installation's settings allow."""

    name: ObjectName = Field(description="The Secret.")
    key: str = Field("key", pattern=ENTRY, max_length=253, description="Its entry.")


class EndpointPrice(Model):
    """What an endpoint takes for a million tokens, in the currency of the installation."""

    input_per_million: Money = Field(description="For tokens of prompts.")
    output_per_million: Money = Field(description="For tokens of answers.")


class Endpoint(Ruled):
    """A service that speaks the chat completions API of OpenAI."""

    rules: ClassVar = (
        Rule(
            "!has(self.timeout) || self.timeout.matches('[1-9]')",
            'timeout must be longer than 0, such as "2m"; leave it out for that',
        ),
    )

    url: str = Field(
        pattern=URL,
        max_length=512,
        description="Its address up to and without /chat/completions, such as "
        "https://models.example.com/v1.",
    )
    model: str = Field(
        pattern=MODEL,
        max_length=256,
        description="The model that it knows by this name.",
    )
    key: SecretKey | None = Field(
        None,
        description="Its key. Only the pods that ask it get it. On one machine it is the variable "
        "CUPOLA_ENDPOINT_KEY.",
    )
    price: EndpointPrice | None = Field(
        None, description="What it costs, to say what was spent and to keep a budget."
    )
    timeout: Duration = Field(
        "2m", description="How long an answer may take; after that it is asked for once more."
    )


class Writer(Ruled):
    """The model that writes; exactly one field is set."""

    rules: ClassVar = (
        Rule(
            "[has(self.pretrainJob), has(self.fineTune), has(self.huggingFace), has(self.endpoint)]"
            ".filter(x, x).size() == 1",
            "name exactly one model that writes: pretrainJob: NAME, fineTune: NAME, huggingFace: "
            "hf://org/name@COMMIT, or endpoint: {url, model}",
        ),
    )

    pretrain_job: Name | None = Field(None, description="Name of a PretrainJob.")
    fine_tune: Name | None = Field(None, description="Name of a FineTune.")
    hugging_face: str | None = Field(
        None,
        pattern=COMMIT,
        max_length=256,
        description="A model of the Hugging Face hub at a commit of 40 hex digits, so that all pods "
        "take the same weights: hf://org/name@COMMIT. Weights in safetensors only; none of its code "
        "is run.",
    )
    endpoint: Endpoint | None = Field(None, description="A service over HTTP.")

    @property
    def reference(self) -> ModelReference | None:
        """The resource that made it, if one did."""
        if self.pretrain_job:
            return ModelReference(pretrain_job=self.pretrain_job)
        return ModelReference(fine_tune=self.fine_tune) if self.fine_tune else None

    @property
    def said(self) -> str:
        """Its name in lineage and reports."""
        if self.endpoint:
            return self.endpoint.model
        if self.hugging_face:
            return self.hugging_face
        return f"{'PretrainJob' if self.pretrain_job else 'FineTune'} {self.pretrain_job or self.fine_tune}"


class Seeds(Ruled):
    """The real documents that prompts are about; exactly one of source and dataset is set.

    Each different document is taken once before any is taken again, in an order that spec's seed
    draws.
    """

    rules: ClassVar = (
        Rule(
            "has(self.source) != has(self.dataset)",
            "say where the documents of prompts come from: write source: NAME of a source of this "
            "Dataset, or dataset: NAME of another",
        ),
    )

    source: Name | None = Field(
        None, description="Another source of this Dataset, as it is before its curation."
    )
    dataset: Name | None = Field(
        None, description="Another Dataset, of which the training documents that stayed are taken."
    )
    max_characters: int = Field(
        4000, ge=1, le=1_000_000, description="Of a longer document only the beginning is taken."
    )


class SyntheticBudget(Ruled):
    """What may be used up. The stage then ends with what is there, and status says so."""

    rules: ClassVar = (
        Rule(
            "has(self.tokens) || has(self.maxCost)",
            "synthetic.budget: write tokens, maxCost or both; leave budget out for no limit",
        ),
        Rule(
            "(!has(self.tokens) || self.tokens.matches('[1-9]')) && "
            "(!has(self.maxCost) || self.maxCost.matches('[1-9]'))",
            "synthetic.budget must be more than 0; leave it out for no limit",
        ),
    )

    tokens: Count | None = Field(None, description="Tokens of prompts and answers together.")
    max_cost: Money | None = Field(
        None, description="What an endpoint may cost, by its `price`; pods are in spec.budget."
    )


class Synthetic(Ruled):
    """Text that a language model writes: an answer to each of many prompts about real documents."""

    rules: ClassVar = (
        Rule(
            "self.prompts.all(p, self.prompts.exists_one(q, q.name == p.name))",
            "synthetic.prompts must have different names",
        ),
        Rule(
            "!has(self.budget) || !has(self.budget.maxCost) || "
            "(has(self.model.endpoint) && has(self.model.endpoint.price))",
            "synthetic.budget.maxCost is of an endpoint: write its price for a million tokens in "
            "synthetic.model.endpoint.price; what pods may cost is in spec.budget",
        ),
        Rule(
            "!has(self.model.endpoint) || self.pools.size() == 0",
            "synthetic.pools are for models that pods compute; leave it out with an endpoint",
        ),
    )

    model: Writer = Field(description="What writes.")
    prompts: list[Prompt] = Field(
        min_length=1,
        max_length=8,
        description="What is asked. The first document is given to the first prompt, the next to the "
        "next, and after the last one to the first again.",
    )
    seeds: Seeds = Field(description="What it is asked about.")
    documents: int = Field(ge=1, le=10_000_000, description="Answers to ask for.")
    max_tokens: int = Field(1024, ge=1, le=65_536, description="Tokens of an answer, at most.")
    temperature: float = Field(1.0, ge=0, le=2, description="0: the likeliest answer.")
    top_p: float = Field(
        1.0, gt=0, le=1, description="Draw from the likeliest tokens that have this share together."
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="Of the order of documents, and of sampling."
    )
    concurrency: int = Field(
        8,
        ge=1,
        le=1024,
        description="Answers that are written at a time: by an endpoint in all, by a model of Cupola "
        "or of the hub on each device.",
    )
    budget: SyntheticBudget | None = Field(None, description="What may be used up.")
    pools: Pools = Field(default_factory=list)


class MadeBy(Model):
    """What wrote the documents of a source, in a resolved run."""

    model: str = Field(description="The model's name.")
    prompts: Digest = Field(description="Digest of the prompts.")
    digest: Digest = Field(description="Digest of what was written.")
    inputs: list[Lineage] = Field(
        default_factory=list,
        max_length=2,
        description="The model of Cupola that wrote, and the Dataset that it was asked about.",
    )


class SyntheticSummary(Model):
    """What a model wrote. requests = made + empty + failed, always."""

    source: str = Field(max_length=63, description="The source.")
    model: str = Field(max_length=256, description="The model that wrote.")
    prompts: Digest = Field(description="Digest of the prompts.")
    uri: str = Field(max_length=2048, description="The folder with what it wrote.")
    digest: Digest = Field(description="Digest of that folder.")
    documents: int = Field(ge=0, description="Answers that were to be asked for.")
    requests: int = Field(ge=0, description="Answers that were asked for.")
    made: int = Field(ge=0, description="Documents that came of it.")
    empty: int = Field(ge=0, description="Answers without a text.")
    failed: int = Field(ge=0, description="Requests that were refused, or never answered well.")
    truncated: int = Field(
        ge=0, description="Of the documents, those that were cut off at maxTokens."
    )
    input_tokens: int = Field(ge=0, description="Tokens of prompts.")
    output_tokens: int = Field(ge=0, description="Tokens of answers.")
    cost: Amount | None = Field(
        None, description="What the endpoint takes for them, by its price in the spec."
    )
    budget_used_up: bool = Field(
        False, description="Whether it ended because the budget allowed no more."
    )
