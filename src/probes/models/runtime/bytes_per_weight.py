"""The memory of a weight that is trained. Imports no torch, so that plans may count."""

from __future__ import annotations

GIB = 1 << 30


def bytes_per_weight(own: int, optimizer: str) -> int:
    """Count the bytes of a weight that is trained, besides the model's and a gradient.

    Args:
        own: Bytes of a number in the model's precision.
        optimizer: "gd" or "adam".
    """
    wide = max(4, own)
    working = own if own != wide else 0
    return wide + working + (2 * wide if optimizer == "adam" else 0)
