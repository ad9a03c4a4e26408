"""Write a safetensors file tensor by tensor, so that one tensor at a time is held."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SIZES = {"F32": 4, "F16": 2, "BF16": 2}
"""Bytes of a number, by the names that safetensors uses."""


@dataclass(frozen=True, kw_only=True)
class TensorPlan:
    """A tensor that will be written.

    Attributes:
        dtype: "F32", "F16" or "BF16".
        shape: Its shape, rows first.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        """How many bytes its numbers take."""
        return math.prod(self.shape) * SIZES[self.dtype]


def write_tensors(
    path: Path,
    plans: Mapping[str, TensorPlan],
    tensors: Iterable[npt.NDArray[np.generic]],
) -> None:
    """Write a safetensors file.

    Args:
        path: The file.
        plans: The tensors by name.
        tensors: Their numbers in the same order, each made when it is asked for.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    described: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, plan in plans.items():
        begin, end = end, end + plan.n_bytes
        described[name] = {
            "dtype": plan.dtype,
            "shape": plan.shape,
            "data_offsets": [begin, end],
        }
    header = json.dumps(described).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for plan, tensor in zip(plans.values(), tensors, strict=True):
            assert tensor.nbytes == plan.n_bytes
            file.write(np.ascontiguousarray(tensor).data)
