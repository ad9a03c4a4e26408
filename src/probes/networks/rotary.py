"""Rotary positions: a head's two halves are turned as a complex number is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from probes.networks.axes import split


@dataclass(frozen=True, kw_only=True)
class Turns:
    """How far the heads of every token are turned.

    The halves come out interleaved, of queries and keys alike, so that no score
    changes: that takes two passes over memory instead of four.

    Attributes:
        by: Complex, shape (n_stacks or 1, n_tokens, d_head / 2), float32 or wider.
    """

    by: Tensor

    @classmethod
    def of(cls, cos: Tensor, sin: Tensor) -> Turns:
        """Take cosines and sines (…, d_head), of which the halves are alike."""
        half = cos.shape[-1] // 2
        wide = torch.promote_types(cos.dtype, torch.float32)
        both = (part[..., :half].to(wide) for part in (cos, sin))
        return cls(by=torch.complex(*both))

    def each(self, change: Callable[[Tensor], Tensor]) -> Turns:
        """Change those of every token alike."""
        return Turns(by=change(self.by))

    def times(self, factor: float) -> Turns:
        """Scale what they turn."""
        return self.each(lambda by: by * factor)

    def turn(self, heads: Tensor) -> Tensor:
        """Turn heads, shape (…, n_tokens, n_heads, d_head)."""
        half = heads.shape[-1] // 2
        halves = heads.to(self.by.real.dtype).split(half, dim=-1)  # type: ignore[no-untyped-call]
        turned = torch.complex(*halves).mul_(self.by[:, :, None])
        return torch.view_as_real(turned).flatten(-2).to(heads.dtype)

    def back(self, gradient: Tensor) -> Tensor:
        """Carry a gradient of turned heads back: turn it the other way."""
        wide = split(gradient.to(self.by.real.dtype), -1, -1, 2).contiguous()
        turned = torch.view_as_complex(wide) * self.by[:, :, None].conj()
        return torch.cat((turned.real, turned.imag), dim=-1).to(gradient.dtype)
