"""Write an observation as bytes: the content of a stored file, and what engines send.

The bytes are safetensors, with a checksum over everything that is read back. Nothing in
them can run code.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from probes.observations.observation import Observation


class DamagedObservationError(ValueError):
    """The bytes are not a whole observation with the expected key."""


def encode_observation(observation: Observation) -> bytes:
    """Write an observation as the bytes of one file."""
    from safetensors.numpy import save

    arrays = {k: np.ascontiguousarray(v) for k, v in observation.arrays.items()}
    described = {
        "key": observation.key,
        "facts": dict(observation.facts),
        "checksum": _checksum(arrays, dict(observation.facts)),
    }
    text = json.dumps(described, allow_nan=False)
    return bytes(save(arrays, metadata={"probes": text}))


def decode_observation(data: bytes, key: str) -> Observation:
    """Read an observation back.

    Args:
        data: What :func:`encode_observation` wrote; it may have been damaged since.
        key: The key that the observation must have.

    Raises:
        DamagedObservationError: The bytes are torn or changed, or have another key.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        described = json.loads(_header(data)["__metadata__"]["probes"])
        arrays, facts = load(data), described["facts"]
        if (described["key"], described["checksum"]) != (key, _checksum(arrays, facts)):
            raise ValueError("its checksum or key does not match its content")
        return Observation(arrays=arrays, facts=dict(facts), key=key)
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise DamagedObservationError(str(error)) from error


def _header(data: bytes) -> Any:
    """Read the header before the arrays: eight bytes of length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise ValueError("its header is longer than the file")
    return json.loads(data[8 : 8 + length])


def _checksum(arrays: dict[str, Any], facts: dict[str, Any]) -> str:
    as_read = json.loads(json.dumps(facts))  # reading back turns tuples into lists
    digest = hashlib.sha256(json.dumps(as_read, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
