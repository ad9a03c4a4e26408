"""Products with frozen weights, packed once in the blocks that oneDNN reads.

A plain product packs its weights into blocks every time. Packing frozen weights once
makes products on a CPU a tenth to a quarter faster. The operators are those that
torch's own compiler emits when it freezes a model. They are not public, so their
results are compared with a plain product before they are used at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from probes.models.llama.axes import split

ROTATED = ("q_proj.weight", "k_proj.weight")
"""Projections whose heads are rotated (see ``models.llama.rotary``). They are packed
with interleaved halves, so that rotation needs no extra pass over memory."""
MIN_NUMBERS = 1 << 16
"""Of a weight. A smaller one gains nothing, and each new shape costs .4 ms once."""
MAX_BYTES = 1 << 30
"""Of a model. Packed weights are a second copy of it, or a third for the layers through
which gradients pass."""
TYPICAL_ROWS = 768  # of a product; the best packing hardly depends on it


class PrepackedWeight:
    """A frozen weight W (d_out, d_in), packed for fast products.

    It is packed at its first use, and again after torch wrote to it. A write that no
    version counter sees, through ``.data`` or a numpy view, is not noticed.

    Args:
        weight: A float32 matrix on a CPU.
        d_head: If given, each head's two halves are interleaved in products x Wᵀ + b
            and in the gradients given to :meth:`backward`.
    """

    def __init__(self, weight: Tensor, d_head: int | None = None) -> None:
        self._weight, self._d_head = weight, d_head
        self._packed_from: tuple[Tensor, int] | None = None
        self._blocks: dict[bool, Tensor] = {}

    @property
    def n_bytes(self) -> int:
        """The size of the blocks packed so far."""
        size = self._weight.numel() * self._weight.element_size()
        return len(self._blocks) * size

    @property
    def is_interleaved(self) -> bool:
        """Whether products have the halves of heads interleaved."""
        return self._d_head is not None

    def supports(self, x: Tensor) -> bool:
        """Check that the weight and x are still float32 on a CPU."""
        own = self._weight
        return own.dtype == x.dtype == torch.float32 and own.device.type == "cpu"

    def __call__(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Compute x Wᵀ + b for x (…, d_in), without recording for autograd."""
        bias = None if bias is None else self._interleave(bias.detach())
        return onednn_product(x, self.blocks(is_backward=False), bias)

    def backward(self, gradient: Tensor) -> Tensor:
        """Compute g W, the gradient of x, for g (…, d_out)."""
        return onednn_product(gradient, self.blocks(is_backward=True), None)

    def blocks(self, *, is_backward: bool) -> Tensor:
        """Give the blocks of W, or those of Wᵀ for the product with a gradient."""
        own, version = self._weight.detach(), self._weight._version
        before = self._packed_from  # holding it keeps its address from being reused
        if (
            before is None
            or before[0].data_ptr() != own.data_ptr()
            or before[1] != version
        ):
            self._blocks, self._packed_from = {}, (own, version)
        blocks = self._blocks
        if is_backward not in blocks:
            with torch.inference_mode(False), torch.no_grad():
                rows = self._interleave(own)
                blocks[is_backward] = _pack(
                    rows.t().contiguous() if is_backward else rows
                )
        return blocks[is_backward]

    def _interleave(self, rows: Tensor) -> Tensor:
        if self._d_head is None:
            return rows
        halves = split(rows, 0, -1, 2, self._d_head // 2)
        return halves.transpose(1, 2).reshape(rows.shape)


def prepack(
    own: Mapping[str, Tensor], d_head: int | None = None
) -> dict[str, PrepackedWeight]:
    """Prepare the weights that gain from packing; none if packing is not possible.

    Args:
        own: The model's weights by name.
        d_head: The size of its heads, if they are rotated.
    """
    matrices = {
        name: w
        for name, w in own.items()
        if w.dim() == 2 and w.numel() >= MIN_NUMBERS and not w.is_inference()
    }
    size = sum(4 * w.numel() for w in matrices.values())
    is_supported = all(
        w.device.type == "cpu" and w.dtype == torch.float32 for w in own.values()
    )
    if not is_supported or size > MAX_BYTES or not has_packing_operators():
        return {}
    return {
        name: PrepackedWeight(w, d_head if name.endswith(ROTATED) else None)
        for name, w in matrices.items()
    }


@cache
def has_packing_operators() -> bool:
    """Check that this torch has the operators, and that their results are right."""
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(size, generator=generator) for size in ((2, 3, 8), (16, 8), (16,))
    )
    try:
        ours = onednn_product(x, _pack(weight), bias)
    except (AttributeError, RuntimeError, TypeError):
        return False
    plain = F.linear(x, weight, bias)
    return ours.shape == plain.shape and torch.allclose(ours, plain, atol=1e-5)


def _pack(weight: Tensor) -> Tensor:
    blocks: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, TYPICAL_ROWS)
    return blocks


def onednn_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute x Wᵀ + b by oneDNN, for a matrix (d_out, d_in) or its blocks."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(
        x.contiguous(), weight, bias, "none", [], ""
    )
    return result
