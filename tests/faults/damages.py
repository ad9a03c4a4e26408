"""Ways in which an entry of a store is damaged; each gets its bytes and another's."""

from __future__ import annotations

from collections.abc import Callable

DAMAGES: tuple[Callable[[bytes, bytes], bytes], ...] = (
    lambda own, other: own[: len(own) // 2],  # torn
    lambda own, other: own[:-1],  # truncated
    lambda own, other: own[:-3] + bytes([own[-3] ^ 4]) + own[-2:],  # a flipped bit
    lambda own, other: other,  # another observation's entry
    lambda own, other: b"",
    lambda own, other: b"MZ" + bytes(300),
)
