"""Fit texts to the columns of a terminal, in which some letters take two."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator


def columns(text: str) -> int:
    """Count the terminal columns of a text; wide characters take two."""
    if text.isascii():
        return len(text)
    return sum(map(_column, text))


def _column(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Shorten a text to a number of columns, with an ellipsis."""
    if columns(text) <= width:
        return text
    return next(chunks(text, width - 1)) + "…"


def cut_name(text: str, width: int) -> str:
    """Shorten a name in its middle: names that begin alike often differ at the end."""
    if columns(text) <= width:
        return text
    end = next(chunks(text[::-1], width // 2))[::-1]
    return cut(text, width - columns(end)) + end


def pad(text: str, width: int) -> str:
    """Fill a text with spaces to a number of columns."""
    return text + " " * (width - columns(text))


def chunks(text: str, width: int) -> Iterator[str]:
    """Split a text anywhere into pieces of at most ``width`` columns."""
    piece, used = "", 0
    for character in text:
        wide = _column(character)
        if used + wide > width:
            yield piece
            piece, used = "", 0
        piece, used = piece + character, used + wide
    yield piece


def fold(text: str, width: int, *, indent: str = "") -> list[str]:
    """Break a text between words into lines of at most ``width`` columns."""
    room = width - len(indent)
    lines = [""]
    for word in text.split():
        for piece in chunks(word, room):
            joined = f"{lines[-1]} {piece}" if lines[-1] else piece
            if columns(joined) <= room:
                lines[-1] = joined
            else:
                lines.append(piece)
    return [indent + line for line in lines]
