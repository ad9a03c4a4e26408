"""Content keys and seeds: hashes of plain values as canonical JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any


def canonical(value: Any) -> Any:
    """Turn a value into plain JSON values; a dataclass keeps the name of its type.

    Raises:
        TypeError: A value has no canonical JSON, which is a bug of this project.
    """
    if value is None or isinstance(value, (str, int, float)):
        return value  # the most common case; a plan has millions
    if is_dataclass(value) and not isinstance(value, type):
        named = {f.name: canonical(getattr(value, f.name)) for f in fields(value)}
        return {"type": type(value).__name__, **named}
    if isinstance(value, tuple | list):
        return [canonical(v) for v in value]
    if isinstance(value, dict):
        return {str(k): canonical(v) for k, v in value.items()}
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no canonical JSON")


def digest(value: Any) -> str:
    """Hash a value: 32 hexadecimal digits of the SHA-256 of its canonical JSON."""
    return digest_of_json(canonical(value))


def digest_of_json(value: Any) -> str:
    """Hash plain JSON values, as :func:`digest` does after :func:`canonical`."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def seed_of(*parts: Any) -> int:
    """Derive a seed of 60 bits from values; it is the same on every machine."""
    return int(digest(list(parts))[:15], 16)
