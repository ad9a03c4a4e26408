"""Ascending token ids in about a byte each, and numbers in twelve bits each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 255
"""The byte that adds ``STEP`` to the next id and is none itself."""
LARGEST_CODE = (1 << 12) - 1

Bytes = NDArray[np.uint8]
Ints = NDArray[Any]


def pack_ids(ids: Ints, width: int) -> Bytes:
    """Write ascending ids as the gaps between them.

    Args:
        ids: Different ids >= 0, ascending.
        width: Bytes to fill; ``STEP`` fills what is left over. The ids take
            ``len(ids) + ids[-1] // STEP`` bytes at most.
    """
    gaps = np.diff(ids, prepend=0)
    packed = np.full(width, STEP, dtype=np.uint8)
    packed[np.cumsum(gaps // STEP + 1) - 1] = gaps % STEP
    return packed


def unpack_ids(packed: Bytes) -> Ints:
    """Read what :func:`pack_ids` wrote."""
    return np.cumsum(packed, dtype=np.int32)[packed < STEP]


def pack_codes(codes: Ints) -> Bytes:
    """Write numbers from 0 to ``LARGEST_CODE``, two in three bytes; shape (n,)."""
    even = np.append(codes, 0)[: len(codes) + len(codes) % 2].astype(np.uint16)
    a, b = even[::2], even[1::2]
    parts = (a >> 4, (a & 15) << 4 | b >> 8, b & 255)
    return np.stack(parts, axis=-1).astype(np.uint8).ravel()


def unpack_codes(packed: Bytes, n: int) -> Ints:
    """Read the first n numbers that :func:`pack_codes` wrote."""
    first, middle, last = packed.astype(np.uint16).reshape(-1, 3).T
    pairs = np.stack([first << 4 | middle >> 4, (middle & 15) << 8 | last], axis=-1)
    return pairs.ravel()[:n]
