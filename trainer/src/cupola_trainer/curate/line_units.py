"""A text as lines or paragraphs, and without some of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from cupola_api.duplicate_lines import LineUnit


def cut(text: str, unit: LineUnit) -> list[str]:
    """The lines or paragraphs of a text, each with the empty lines after it; together they are it.

    None is all white space, unless the text is; empty lines before the first belong to it.
    """
    found: list[list[str]] = []
    begun = after_empty = False
    for line in _lines(text):
        empty = not line.strip()
        begins = begun and not empty and (unit is LineUnit.LINE or after_empty)
        if begins or not found:
            found.append([line])
        else:
            found[-1].append(line)
        begun, after_empty = begun or not empty, empty
    return ["".join(lines) for lines in found]


def without(text: str, unit: LineUnit, gone: Collection[int]) -> str:
    """A text without the lines or paragraphs of these numbers; it then ends without a line end."""
    return "".join(one for i, one in enumerate(cut(text, unit)) if i not in gone).rstrip("\n")


def _lines(text: str) -> Iterator[str]:
    """The lines with their line ends, of which there is one kind here."""
    *lines, last = text.split("\n")
    for line in lines:
        yield f"{line}\n"
    if last:
        yield last
