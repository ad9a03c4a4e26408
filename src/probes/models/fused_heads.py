"""Which rows of a fused matrix belong to W_Q, W_K and W_V. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

FUSED_ROLES = ("W_Q", "W_K", "W_V")


@dataclass(frozen=True, kw_only=True)
class FusedHeads:
    """The order of heads in the rows of one matrix for queries, keys and values.

    The rows are ``n_groups`` blocks. Each block has ``n_queries`` query heads and
    ``n_keys`` heads of keys, and as many of values, in the order of ``order``.
    """

    n_groups: int
    n_queries: int
    n_keys: int
    order: tuple[str, ...] = FUSED_ROLES

    def rows(self, role: str, n_rows: int) -> list[int]:
        """List the rows of a role, head by head.

        Args:
            role: One of ``FUSED_ROLES``.
            n_rows: Rows of the whole matrix.
        """
        heads = {"W_Q": self.n_queries, "W_K": self.n_keys, "W_V": self.n_keys}
        block = n_rows // self.n_groups
        d_head = block // sum(heads.values())
        before = self.order[: self.order.index(role)]
        start = d_head * sum(heads[other] for other in before)
        return [
            group * block + row
            for group in range(self.n_groups)
            for row in range(start, start + d_head * heads[role])
        ]


FusedOrder = Callable[[Any], FusedHeads]
"""Reads from a configuration how the heads of a fused matrix are ordered."""


def setting(config: Any, name: str, default: Any) -> Any:
    """Read a setting of a configuration, loaded or as in its file."""
    if isinstance(config, Mapping):
        value = config.get(name)
    else:
        value = getattr(config, name, None)
    return default if value is None else value


def in_three_blocks(config: Any) -> FusedHeads:
    """Order all queries first, then all keys, then all values."""
    n_heads = int(config.num_attention_heads)
    n_keys = int(setting(config, "num_key_value_heads", n_heads))
    return FusedHeads(n_groups=1, n_queries=n_heads, n_keys=n_keys)


def head_by_head(config: Any) -> FusedHeads:
    """Order each head's query, key and value before the next head's."""
    return FusedHeads(n_groups=int(config.num_attention_heads), n_queries=1, n_keys=1)


def of_gpt_bigcode(config: Any) -> FusedHeads:
    """With multi-query attention, all queries and then one key and one value."""
    if not setting(config, "multi_query", True):
        return head_by_head(config)
    return FusedHeads(n_groups=1, n_queries=int(config.num_attention_heads), n_keys=1)


def of_falcon(config: Any) -> FusedHeads:
    """Order each key head after the query heads that share it."""
    n_heads = int(config.num_attention_heads)
    if setting(config, "new_decoder_architecture", False):
        n_keys = int(setting(config, "num_kv_heads", n_heads))
        return FusedHeads(n_groups=n_keys, n_queries=n_heads // n_keys, n_keys=1)
    return of_gpt_bigcode(config)


def of_codegen(config: Any) -> FusedHeads:
    """Order heads as the four devices of its training held them: values before keys."""
    each = int(config.num_attention_heads) // 4
    order = ("W_Q", "W_V", "W_K")
    return FusedHeads(n_groups=4, n_queries=each, n_keys=each, order=order)
