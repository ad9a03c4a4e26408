"""Content keys and seeds: canonical JSON of plain values, hashed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any


def canonical(value: Any) -> Any:
    """Turn dataclasses into JSON that names its types, for content keys.

    Raises:
        TypeError: A field holds something that has no canonical JSON; our own bug.
    """
    if value is None or isinstance(value, (str, int, float)):
        return value  # most values by far; a plan has millions
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
    """Hash canonical JSON: 32 hexadecimal digits of its SHA-256."""
    return digest_of_json(canonical(value))


def digest_of_json(value: Any) -> str:
    """Hash what is canonical JSON already, as :func:`digest` does."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def seed_of(*parts: Any) -> int:
    """Derive a 63-bit seed from a description, the same on every machine."""
    return int(digest(list(parts))[:15], 16)
