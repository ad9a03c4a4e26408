"""Products with weights that stay as they are, packed once as oneDNN reads them.

A plain product puts its weights into blocks before it multiplies, every time. Weights
that never move are put into them once; on a CPU that is a tenth to a quarter faster.
The operators are those that torch's own compiler emits when it freezes a model. They
are not public, so what they answer is compared with a plain product before they are
used at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from probes.models.llama.axes import split

TURNED = ("q_proj.weight", "k_proj.weight")
"""Of what turns with its position (see ``models.llama.rotary``): these are packed as
turning wants them, so that no pass over memory is needed to bring halves together."""
LEAST_NUMBERS = 1 << 16
"""Of a weight: a smaller one gains nothing, and every new shape costs .4 ms once."""
MOST_BYTES = 1 << 30
"""Of a model: what is packed is a second copy of it, and a third of the layers through
which gradients pass."""
SOME_ROWS = 768  # of a product; which order is best hardly depends on it


class Packed:
    """A weight (d_out, d_in) of which products are taken, and never moved by them.

    It is packed at its first use, and again after torch wrote to it. Writes that no
    version counter sees, through ``.data`` or a numpy view, are not noticed.

    Args:
        weight: A float32 matrix on a CPU.
        d_head: If given, the two halves of every so many numbers of a product stand
            interleaved, those of x Wᵀ + b and those of which ``back`` is given.
    """

    def __init__(self, weight: Tensor, d_head: int | None = None) -> None:
        self._weight, self._d_head = weight, d_head
        self._state: tuple[Tensor, int] | None = None
        self._ways: dict[bool, Tensor] = {}

    @property
    def n_bytes(self) -> int:
        """The size of what is packed by now."""
        size = self._weight.numel() * self._weight.element_size()
        return len(self._ways) * size

    @property
    def is_interleaved(self) -> bool:
        """Whether the halves of heads stand interleaved."""
        return self._d_head is not None

    def serves(self, x: Tensor) -> bool:
        """Say whether the weight is still where and as wide as it was, and x too."""
        own = self._weight
        return own.dtype == x.dtype == torch.float32 and own.device.type == "cpu"

    def __call__(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Compute x Wᵀ + b; x is (…, d_in), and no gradient passes."""
        bias = None if bias is None else self._interleaved(bias.detach())
        return _product(x, self.ordered(backward=False), bias)

    def back(self, gradient: Tensor) -> Tensor:
        """Compute g W, the gradient of x; g is (…, d_out)."""
        return _product(gradient, self.ordered(backward=True), None)

    def ordered(self, *, backward: bool) -> Tensor:
        """Give the blocks of W, or those of Wᵀ, which a gradient is multiplied by."""
        own, version = self._weight.detach(), self._weight._version
        before = self._state  # holding what was packed keeps its address from others
        if (
            before is None
            or before[0].data_ptr() != own.data_ptr()
            or before[1] != version
        ):
            self._ways, self._state = {}, (own, version)
        ways = self._ways
        if backward not in ways:
            with torch.inference_mode(False), torch.no_grad():
                rows = self._interleaved(own)
                ways[backward] = _packed(rows.t().contiguous() if backward else rows)
        return ways[backward]

    def _interleaved(self, rows: Tensor) -> Tensor:
        if self._d_head is None:
            return rows
        halves = split(rows, 0, -1, 2, self._d_head // 2)
        return halves.transpose(1, 2).reshape(rows.shape)


def packed(own: Mapping[str, Tensor], d_head: int | None = None) -> dict[str, Packed]:
    """Prepare those weights of a model that gain by it; none where it is not possible.

    Args:
        own: The model's weights by name.
        d_head: The size of its heads, if it turns them.
    """
    matrices = {
        name: w
        for name, w in own.items()
        if w.dim() == 2 and w.numel() >= LEAST_NUMBERS and not w.is_inference()
    }
    size = sum(4 * w.numel() for w in matrices.values())
    plain = all(
        w.device.type == "cpu" and w.dtype == torch.float32 for w in own.values()
    )
    if not plain or size > MOST_BYTES or not is_possible():
        return {}
    return {
        name: Packed(w, d_head if name.endswith(TURNED) else None)
        for name, w in matrices.items()
    }


@cache
def is_possible() -> bool:
    """Say whether this torch has the operators, and they answer as they should."""
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(size, generator=generator) for size in ((2, 3, 8), (16, 8), (16,))
    )
    try:
        found = _product(x, _packed(weight), bias)
    except (AttributeError, RuntimeError, TypeError):
        return False
    wanted = F.linear(x, weight, bias)
    return found.shape == wanted.shape and torch.allclose(found, wanted, atol=1e-5)


def _packed(weight: Tensor) -> Tensor:
    found: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, SOME_ROWS)
    return found


def _product(x: Tensor, ordered: Tensor, bias: Tensor | None) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(
        x.contiguous(), ordered, bias, "none", [], ""
    )
    return found
