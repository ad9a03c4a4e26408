"""An observation as bytes: what a store's file holds, and what an engine sends.

Safetensors with a checksum over everything that is read back. Nothing in it can run
code.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from probes.observations.observation import Observation


class DamagedEntryError(ValueError):
    """Bytes are no whole observation of the key that was asked for."""


def encode(observation: Observation) -> bytes:
    """Write an observation as the bytes of one entry."""
    from safetensors.numpy import save

    arrays = {k: np.ascontiguousarray(v) for k, v in observation.arrays.items()}
    described = {
        "key": observation.key,
        "facts": dict(observation.facts),
        "checksum": _checksum(arrays, dict(observation.facts)),
    }
    told = json.dumps(described, allow_nan=False)
    return bytes(save(arrays, metadata={"probes": told}))


def decode(data: bytes, key: str) -> Observation:
    """Read an observation back.

    Args:
        data: What :func:`encode` wrote, and whatever became of it.
        key: The key that it must be of.

    Raises:
        DamagedEntryError: It is torn, changed, or of another key.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        described = json.loads(_header(data)["__metadata__"]["probes"])
        arrays, facts = load(data), described["facts"]
        told = (described["key"], described["checksum"])
        if told != (key, _checksum(arrays, facts)):
            raise ValueError("its checksum or key does not match its content")
        return Observation(arrays=arrays, facts=dict(facts), key=key)
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise DamagedEntryError(str(error)) from error


def _header(data: bytes) -> Any:
    """Read what stands before the arrays: eight bytes of length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise ValueError("its header is longer than the file")
    return json.loads(data[8 : 8 + length])


def _checksum(arrays: dict[str, Any], facts: dict[str, Any]) -> str:
    told = json.loads(json.dumps(facts))  # as it is read back: tuples become lists
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
