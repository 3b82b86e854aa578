"""Decimal numbers and moments in a status: strings, so that no digit is lost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Time = Annotated[str, Field(max_length=40)]
"""A moment, RFC 3339 in UTC."""

Amount = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", max_length=40)]
"""A decimal number in a status; a string, so that no digit is lost."""
