"""Attention matrices: whole parameters, transposed ones, or parts of fused ones.

A sub-model's name gives parameters (``parameter_groups``); here are the rows of them
that are meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from probes.models.architecture_description import Architecture
from probes.models.architectures import architecture_of
from probes.models.weights.parameter_groups import parameters_of


@dataclass(frozen=True, kw_only=True)
class WeightPart:
    """A parameter, or the rows of a fused one that belong to an attention matrix.

    Attributes:
        name: Name of the parameter.
        matrix: The attention matrix that it holds; empty where it is no such matrix.
        rows: Its rows among those of (d_out, d_in); None is all of them.
        is_transposed: Whether the parameter has shape (d_in, d_out).
    """

    name: str
    matrix: str = ""
    rows: tuple[int, ...] | None = None
    is_transposed: bool = False

    @property
    def label(self) -> str:
        """The parameter's name, with the matrix in brackets if it is a part of it."""
        return self.name if self.rows is None else f"{self.name}[{self.matrix}]"

    def read(self, parameter: Tensor) -> Tensor:
        """Cut the part out, shape (…, d_out, d_in) if it is a matrix."""
        whole = parameter.mT if self.is_transposed else parameter
        return whole if self.rows is None else whole.index_select(-2, self._on(whole))

    def write(self, parameter: Tensor, part: Tensor) -> Tensor:
        """Put another part in its place, in a copy of the parameter."""
        if self.rows is not None:
            whole = parameter.mT if self.is_transposed else parameter
            part = whole.index_copy(-2, self._on(whole), part)
        return part.mT.contiguous() if self.is_transposed else part

    @cached_property
    def _index(self) -> Tensor:
        return torch.tensor(self.rows)

    def _on(self, tensor: Tensor) -> Tensor:
        return self._index.to(tensor.device)


def parts_of(model: Any, weights: str) -> list[WeightPart]:
    """Find the parts of parameters that a sub-model consists of.

    Args:
        model: A Hugging Face causal language model.
        weights: As in :func:`parameters_of`.

    Returns:
        Attention matrices as such, (d_out, d_in); other parameters whole, as they are.

    Raises:
        OptionError: The name is none of these, or the architecture has no such weights.
        ModelError: The architecture is not described.
    """
    parameters, role = parameters_of(model, weights), weights.partition("@")[0]
    if role in ("all", "mlp", "norm"):
        return [WeightPart(name=name) for name in parameters]
    architecture, config = architecture_of(model), model.config.get_text_config()
    return [
        _part(architecture, config, matrix, name, parameter)
        for name, parameter in parameters.items()
        for matrix in architecture.matrices(role, name)
    ]


def _part(
    architecture: Architecture, config: Any, matrix: str, name: str, parameter: Tensor
) -> WeightPart:
    """Describe the part of a parameter that is an attention matrix."""
    turned, rows = architecture.is_transposed, None
    if architecture.fused is not None and architecture.is_fused(matrix):
        n_rows = parameter.shape[1 if turned else 0]
        rows = tuple(architecture.fused(config).rows(matrix, n_rows))
    return WeightPart(name=name, matrix=matrix, rows=rows, is_transposed=turned)


def parts_text(parts: Sequence[WeightPart], weights: Mapping[str, Tensor]) -> str:
    """Name parts of parameters, and count the numbers in them.

    Args:
        parts: At least one.
        weights: The parameters, by name.
    """
    n_weights = sum(part.read(weights[part.name]).numel() for part in parts)
    first, *others = [part.label for part in parts]
    named = f"{len(parts)} tensors, {first} to {others[-1]}" if others else first
    return f"{named}: {n_weights:,} weights"
