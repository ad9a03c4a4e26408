"""Rotary positions: a head's two halves are turned as a complex number is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Turns:
    """How far the heads of every token are turned.

    Without gradients the halves come out interleaved, of queries and keys alike, so
    that no score changes: that takes two passes over memory instead of four.

    Attributes:
        cos: Shape (n_stacks or 1, n_tokens, d_head).
        sin: Same; negative in the first half.
        both: The two as complex numbers, (n_stacks or 1, n_tokens, d_head / 2); None
            where gradients are taken.
    """

    cos: Tensor
    sin: Tensor
    both: Tensor | None

    @classmethod
    def of(cls, cos: Tensor, sin: Tensor) -> Turns:
        """Take cosines and sines, of which the halves are alike."""
        half, both = cos.shape[-1] // 2, None
        if not torch.is_grad_enabled():
            wide = torch.promote_types(cos.dtype, torch.float32)
            both = torch.complex(cos[..., :half].to(wide), sin[..., :half].to(wide))
        signed = torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)
        return cls(cos=cos, sin=signed, both=both)

    def each(self, change: Callable[[Tensor], Tensor]) -> Turns:
        """Change every tensor alike."""
        both = None if self.both is None else change(self.both)
        return Turns(cos=change(self.cos), sin=change(self.sin), both=both)

    def times(self, factor: float) -> Turns:
        """Scale what they turn."""
        return self.each(lambda t: t * factor)

    def turn(self, heads: Tensor) -> Tensor:
        """Turn heads, shape (…, n_tokens, n_heads, d_head)."""
        half = heads.shape[-1] // 2
        if self.both is None:
            swapped = heads.roll(half, dims=-1)
            return heads * self.cos[:, :, None] + swapped * self.sin[:, :, None]
        halves = heads.to(self.both.real.dtype).split(half, dim=-1)  # type: ignore[no-untyped-call]
        turned = torch.complex(*halves).mul_(self.both[:, :, None])
        return torch.view_as_real(turned).flatten(-2).to(heads.dtype)
