"""Lines and paragraphs that many documents have: spec.curation.dedup.lines of a Dataset."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from cupola_api.base import Model


class LineUnit(StrEnum):
    """What a document is cut into."""

    LINE = "Line"
    PARAGRAPH = "Paragraph"


class DuplicateLines(Model):
    """Takes out of documents the lines, or paragraphs, that occurred before.

    The first occurrence stays: in the order of the listing, among the documents that are no copies of
    another. So menus, notices and quotations are learned once (as in CCNet, Wenzek et al. 2019, arXiv
    1911.00359). Whether that makes data better depends on the data: FineWeb (arXiv 2406.17557) found
    that it did not for crawled pages that are deduplicated as documents.
    """

    unit: LineUnit = Field(
        LineUnit.LINE,
        description="Line: up to a line end. Paragraph: up to an empty line, for text that is wrapped.",
    )
    min_characters: int = Field(
        40,
        ge=1,
        le=100_000,
        description="Characters from which on a line counts, white space as one each; shorter ones "
        "stay wherever they are, such as headings and brackets.",
    )
    min_left: int = Field(
        200,
        ge=1,
        le=1_000_000,
        description="Bytes that must be left of a document whose lines occurred before; with less it "
        "is dropped by the rule few-new-lines, and no line goes for one of its. Prompts with their "
        "answers are left as they are.",
    )
