"""Rotary position embeddings: each head's two halves rotate like a complex number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from probes.models.llama.axes import split


@dataclass(frozen=True, kw_only=True)
class RotaryAngles:
    """The angles by which every token's heads are rotated.

    Rotated heads have their halves interleaved. That is so for queries and keys alike,
    so no attention score changes, and it takes two passes over memory instead of four.

    Attributes:
        factors: e^(iθ), shape (n_stacks or 1, n_tokens, d_head / 2); its parts are
            float32 or wider.
        query_scale: The factor of every attention score.
    """

    factors: Tensor
    query_scale: float

    @classmethod
    def of(cls, cos: Tensor, sin: Tensor, *, query_scale: float) -> RotaryAngles:
        """Take cosines and sines, shape (…, d_head), whose two halves are equal."""
        half = cos.shape[-1] // 2
        wide = torch.promote_types(cos.dtype, torch.float32)
        both = (part[..., :half].to(wide) for part in (cos, sin))
        return cls(factors=torch.complex(*both), query_scale=query_scale)

    def map(self, change: Callable[[Tensor], Tensor]) -> RotaryAngles:
        """Apply a function to the factors, such as a choice of tokens."""
        return replace(self, factors=change(self.factors))

    @cached_property
    def scaled_for_queries(self) -> RotaryAngles:
        """Factors that also scale, so that scores need no scaling."""
        return self.map(lambda factors: factors * self.query_scale)

    def rotate(self, heads: Tensor, *, is_interleaved: bool = False) -> Tensor:
        """Rotate heads, which may be overwritten.

        Args:
            heads: Shape (n_stacks or 1, n_tokens, n_heads, d_head).
            is_interleaved: Whether their halves are interleaved already.
        """
        wide = heads.to(self._dtype)
        if is_interleaved:
            rotated = torch.view_as_complex(split(wide, -1, -1, 2).contiguous())
        else:
            rotated = torch.complex(*wide.chunk(2, dim=-1))
        rotated.mul_(self._of_heads)
        return torch.view_as_real(rotated).flatten(-2).to(heads.dtype)

    def rotate_backward(
        self, gradient: Tensor, *, is_interleaved: bool = False
    ) -> Tensor:
        """Compute the gradient of heads from that of rotated heads: rotate it back."""
        wide = split(gradient.to(self._dtype), -1, -1, 2).contiguous()
        rotated = torch.view_as_real(torch.view_as_complex(wide) * self._conjugate)
        if not is_interleaved:
            rotated = rotated.transpose(-1, -2)
        return rotated.flatten(-2).to(gradient.dtype)

    @cached_property
    def _dtype(self) -> torch.dtype:
        return self.factors.real.dtype

    @cached_property
    def _of_heads(self) -> Tensor:
        """The factors with an axis for heads, shape (…, n_tokens, 1, d_head / 2)."""
        return self.factors[:, :, None]

    @cached_property
    def _conjugate(self) -> Tensor:
        return self._of_heads.conj().resolve_conj()
