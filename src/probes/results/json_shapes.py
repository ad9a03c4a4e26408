"""Shapes of plain JSON values: each checks a value, and writes its own JSON schema.

A shape checks a value in one of two ways. ``fits`` is exact, for what this version
writes. ``reads`` is for rows of other versions: it allows unknown fields, and asks only
for what readers rely on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

Check = Callable[[Any], bool]
LARGEST_COUNT = 2**53  # beyond it, JSON readers round whole numbers
LARGEST_NUMBER = 1e308


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a JSON value may look like.

    Attributes:
        words: The shape in a few words, for messages.
        schema: The shape as JSON schema.
        fits: Whether a value is what this version writes.
        reads: Whether a value is what readers rely on.
    """

    words: str
    schema: Mapping[str, Any]
    fits: Check
    reads: Check


@dataclass(frozen=True, kw_only=True)
class Field:
    """A named value of an object.

    Attributes:
        shape: What the value may look like.
        meaning: What it says; empty where the name says it all.
        is_optional: Whether this version sometimes leaves the field out.
        is_needed: Whether readers refuse an object without it.
    """

    shape: Shape
    meaning: str = ""
    is_optional: bool = False
    is_needed: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """The field as JSON schema."""
        described = {"description": self.meaning} if self.meaning else {}
        return {**self.shape.schema, **described}


def _shape(words: str, schema: Mapping[str, Any], fits: Check) -> Shape:
    return Shape(words=words, schema=schema, fits=fits, reads=fits)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -LARGEST_NUMBER < value < LARGEST_NUMBER and math.isfinite(value)


TEXT = _shape("a text", {"type": "string"}, _is_text)
FLAG = _shape("true or false", {"type": "boolean"}, lambda v: isinstance(v, bool))
NUMBER = _shape("a finite number", {"type": "number"}, _is_finite)
OBJECT = _shape("an object", {"type": "object"}, lambda v: isinstance(v, dict))


INTEGER = _shape(
    "a whole number",
    {"type": "integer"},
    lambda v: isinstance(v, int) and not isinstance(v, bool),
)


def word_of(*words: str) -> Shape:
    """Describe one of a few words."""
    known = frozenset(words)
    return _shape(
        f"one of {', '.join(words)}",
        {"enum": list(words)},
        lambda value: isinstance(value, str) and value in known,
    )


def number_between(least: float, most: float | None = None) -> Shape:
    """Describe a finite number within bounds, which readers do not ask for."""
    bounds = {"minimum": least} if most is None else {"minimum": least, "maximum": most}
    highest = LARGEST_NUMBER if most is None else most
    return Shape(
        words=NUMBER.words,
        schema={"type": "number", **bounds},
        fits=lambda value: _is_finite(value) and least <= value <= highest,
        reads=_is_finite,
    )


def count_from(least: int) -> Shape:
    """Describe a whole number; readers ask for 0 or more."""

    def is_count(value: Any, least: int = 0) -> bool:
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return least <= value < LARGEST_COUNT

    return Shape(
        words="a whole number of 0 or more",
        schema={"type": "integer", "minimum": least},
        fits=lambda value: is_count(value, least),
        reads=is_count,
    )


def nullable(shape: Shape) -> Shape:
    """Describe a shape that may be null."""
    schema = dict(shape.schema)
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    else:
        schema["type"] = [schema["type"], "null"]
    return Shape(
        words=f"{shape.words}, or null",
        schema=schema,
        fits=lambda value: value is None or shape.fits(value),
        reads=lambda value: value is None or shape.reads(value),
    )


def list_of(item: Shape) -> Shape:
    """Describe a list whose items all have one shape."""
    return Shape(
        words=f"a list of items that are each {item.words}",
        schema={"type": "array", "items": item.schema},
        fits=lambda value: isinstance(value, list) and all(map(item.fits, value)),
        reads=lambda value: isinstance(value, list) and all(map(item.reads, value)),
    )


def pair_of(first: Shape, second: Shape) -> Shape:
    """Describe a list of two values, each with a shape of its own."""

    def is_pair(value: Any, one: Check, other: Check) -> bool:
        if not isinstance(value, list) or len(value) != 2:
            return False
        return one(value[0]) and other(value[1])

    items = [first.schema, second.schema]
    return Shape(
        words=f"a pair of {first.words} and {second.words}",
        schema={"type": "array", "prefixItems": items, "minItems": 2, "maxItems": 2},
        fits=lambda value: is_pair(value, first.fits, second.fits),
        reads=lambda value: is_pair(value, first.reads, second.reads),
    )


def mapping_to(shape: Shape) -> Shape:
    """Describe an object with any names, whose values all have one shape."""

    def maps(value: Any, check: Check) -> bool:
        return isinstance(value, dict) and all(map(check, value.values()))

    return Shape(
        words=f"an object whose values are each {shape.words}",
        schema={"type": "object", "additionalProperties": shape.schema},
        fits=lambda value: maps(value, shape.fits),
        reads=lambda value: maps(value, shape.reads),
    )


def object_of(fields: Mapping[str, Field], *, is_open: bool = False) -> Shape:
    """Describe an object with named fields.

    Args:
        fields: The fields, in the order in which they are written.
        is_open: Whether this version may write further fields.
    """
    required = [name for name, field in fields.items() if not field.is_optional]
    needed = {name for name, field in fields.items() if field.is_needed}
    fits = {name: field.shape.fits for name, field in fields.items()}
    reads = {name: field.shape.reads for name, field in fields.items()}

    def is_written(value: Any) -> bool:
        if not isinstance(value, dict) or not value.keys() >= {*required}:
            return False
        known = {name: v for name, v in value.items() if name in fits}
        if len(known) < len(value) and not is_open:
            return False
        return all(fits[name](v) for name, v in known.items())

    def is_readable(value: Any) -> bool:
        if not isinstance(value, dict) or not value.keys() >= needed:
            return False
        return all(reads[name](v) for name, v in value.items() if name in reads)

    asked = f" with {', '.join(sorted(needed))}" if needed else ""
    return Shape(
        words=f"an object{asked}",
        schema={
            "type": "object",
            **({} if is_open else {"additionalProperties": False}),
            "required": required,
            "properties": {name: field.schema for name, field in fields.items()},
        },
        fits=is_written,
        reads=is_readable,
    )


def read_as(shape: Shape, less: Shape) -> Shape:
    """Ask less of a shape when it is read back than when it is written."""
    return replace(shape, words=less.words, reads=less.reads)


def unread(shape: Shape) -> Shape:
    """Ask nothing of a value when it is read back: no reader relies on it."""
    return replace(shape, reads=lambda value: True)
