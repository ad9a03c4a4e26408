"""What the model needs to know about its input: which token attends to which."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class AttentionLayout(Protocol):
    """The tokens of one pass, which of them attend to which, and which are read.

    ``PrefixAttention`` serves prompts that share prefixes, ``PackedSequences`` the
    examples of training.
    """

    @property
    def positions(self) -> Tensor:
        """Each token's position in its prompt, (n_stacks or 1, n_tokens)."""

    @property
    def rows(self) -> Tensor:
        """The tokens whose logits are read, shape (n_stacks or 1, n_rows)."""

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend from every token.

        Args:
            query: Scaled; shape (n_stacks or 1, n_tokens, n_heads, d_head).
            key: Shape (n_stacks or 1, n_tokens, n_key_heads, d_head).
            value: Same.
            layer: The number of the layer.
            window: How many tokens back a token attends, itself included; None is all.

        Returns:
            Shape (n_stacks or 1, n_tokens, n_heads · d_head).
        """

    def attend_from_rows(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        layer: int,
        window: int | None,
    ) -> Tensor:
        """Attend from the tokens that are read.

        Args:
            query: Scaled; shape (n_stacks or 1, n_rows, n_heads, d_head).
            key: As in :meth:`attend`.
            value: Values, or the layer's input if W_V is applied after attention; shape
                (n_stacks or 1, n_tokens, n_key_heads or 1, d).
            layer: As in :meth:`attend`.
            window: As in :meth:`attend`.

        Returns:
            Shape (n_stacks or 1, n_rows, n_heads, d).
        """
