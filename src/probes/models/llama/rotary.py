"""Rotary positions: a head's two halves are turned as a complex number is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from probes.models.llama.axes import split


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

    @cached_property
    def of_queries(self) -> Turns:
        """Those that scale as well, by 1/√d_head: scores need no more."""
        return self.each(lambda by: by * (2 * by.shape[-1]) ** -0.5)

    def turn(self, heads: Tensor, *, is_interleaved: bool = False) -> Tensor:
        """Turn heads; they may be written over.

        Args:
            heads: Shape (n_stacks or 1, n_tokens, n_heads, d_head).
            is_interleaved: Whether their halves already are.
        """
        wide = heads.to(self._dtype)
        if is_interleaved:
            turned = torch.view_as_complex(split(wide, -1, -1, 2).contiguous())
        else:
            turned = torch.complex(*wide.chunk(2, dim=-1))
        turned.mul_(self._forth)
        return torch.view_as_real(turned).flatten(-2).to(heads.dtype)

    def back(self, gradient: Tensor, *, is_interleaved: bool = False) -> Tensor:
        """Carry a gradient of turned heads back: turn it the other way."""
        wide = split(gradient.to(self._dtype), -1, -1, 2).contiguous()
        turned = torch.view_as_real(torch.view_as_complex(wide) * self._back)
        if not is_interleaved:
            turned = turned.transpose(-1, -2)
        return turned.flatten(-2).to(gradient.dtype)

    @cached_property
    def _dtype(self) -> torch.dtype:
        return self.by.real.dtype

    @cached_property
    def _forth(self) -> Tensor:
        """What all heads of a token are multiplied by."""
        return self.by[:, :, None]

    @cached_property
    def _back(self) -> Tensor:
        return self._forth.conj().resolve_conj()
