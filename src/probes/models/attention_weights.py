"""The attention matrices of a model, and measures of their sparsity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from probes.models.architecture_description import ATTENTION_MATRICES
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.regression.linear_attention import LinearAttention
from probes.models.regression.softmax_attention import Block, SoftmaxAttention
from probes.models.weights.weight_parts import parts_of

MATRICES = ("W_Q", "W_K", "W_V", "W_KᵀW_Q", "P W_V")
THRESHOLDS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def attention_matrices(
    model: CausalLM | LinearAttention | SoftmaxAttention,
) -> Iterator[list[Tensor]]:
    """Yield each layer's matrices in the order of ``MATRICES``.

    Yields:
        For each layer, tensors of shape (n_matrices, d_out, d_in). A factor is one
        matrix. A product has one matrix per head, and no change of a head's basis
        alters it.

    Raises:
        OptionError: The architecture has no W_Q, W_K, W_V and W_O.
        ModelError: The architecture is not described.
    """
    if isinstance(model, LinearAttention):
        yield from _linear_matrices(model)
        return
    if isinstance(model, SoftmaxAttention):
        yield from _softmax_matrices(model)
        return
    config = model.model.config.get_text_config()
    for layer in range(int(config.num_hidden_layers)):
        W_Q, W_K, W_V, W_O = (
            _matrix(model.model, f"{role}@{layer}").float()
            for role in ATTENTION_MATRICES
        )
        n_heads = int(config.num_attention_heads)
        yield _with_products(W_Q, W_K, W_V, W_O, n_heads=n_heads)


def _with_products(
    W_Q: Tensor, W_K: Tensor, W_V: Tensor, W_O: Tensor, *, n_heads: int
) -> list[Tensor]:
    """List a layer's factors and the products of its heads, which have one size."""
    n_key_heads = n_heads * len(W_K) // len(W_Q)
    queries = W_Q.reshape(n_heads, -1, W_Q.shape[1])  # (n_heads, d_head, d_model)
    keys, values = (
        W.reshape(n_key_heads, -1, W.shape[1]).repeat_interleave(
            n_heads // n_key_heads, dim=0
        )
        for W in (W_K, W_V)
    )
    outward = W_O.reshape(len(W_O), n_heads, -1)  # (d_model, n_heads, d_head)
    return [
        *(W[None] for W in (W_Q, W_K, W_V)),
        keys.transpose(1, 2) @ queries,
        outward.transpose(0, 1) @ values,
    ]


def _softmax_matrices(model: SoftmaxAttention) -> Iterator[list[Tensor]]:
    """Yield the matrices of a softmax transformer for regression, without biases."""
    for block in model.blocks:
        assert isinstance(block, Block)
        stacked = block.queries_keys_values.weight.detach()  # (3 d_model, d_model)
        outward = block.into_stream.weight.detach()
        W_Q, W_K, W_V = stacked.chunk(3)
        yield _with_products(W_Q, W_K, W_V, outward, n_heads=block.n_heads)


def _matrix(model: Any, weights: str) -> Tensor:
    """Read the one matrix that a sub-model consists of, shape (d_out, d_in)."""
    (part,) = parts_of(model, weights)
    return part.read(model.get_parameter(part.name).detach())


def _linear_matrices(model: LinearAttention) -> Iterator[list[Tensor]]:
    """Yield the matrices of linear self-attention, whose layers have one head."""
    rows = list(model.layers)
    for start in range(0, len(rows), 5):
        W_Q, W_K, W_V, P, _ = (matrix.detach() for matrix in rows[start:][:5])
        products = (W_K @ W_Q.T, P.T @ W_V.T)
        yield [matrix[None] for matrix in (W_Q, W_K, W_V, *products)]


def shares_below(matrices: Tensor) -> Tensor:
    """Measure the share of entries with |w| < δ for every δ of ``THRESHOLDS``."""
    sizes = matrices.abs()
    return torch.stack([(sizes < delta).double().mean() for delta in THRESHOLDS])


def hoyer_sparsity(matrices: Tensor) -> Tensor:
    """Measure (√n − ‖w‖₁/‖w‖₂) / (√n − 1) over each matrix's n entries, and average.

    Returns:
        1 if one entry is nonzero, 0 if all have one size, 1 − √(2/π) ≈ .202 for a large
        Gaussian matrix of any scale, 0 for a matrix of zeros.

    Reference:
        Hoyer 2004, J. Mach. Learn. Res. 5, eq. in §3.1.
    """
    w = matrices.double().flatten(1)
    root = w.shape[1] ** 0.5
    norms = w.norm(dim=1)
    ratio = w.abs().sum(dim=1) / torch.where(norms > 0, norms, torch.ones_like(norms))
    sparsity = (root - ratio) / (root - 1)
    return torch.where(norms > 0, sparsity, torch.zeros_like(sparsity)).mean()


def participation(matrices: Tensor) -> Tensor:
    """Measure the participation ratio (Σw²)² / (n Σw⁴) of each matrix, and average.

    Returns:
        1 if all entries have one size, 1/n if one is nonzero, 1/3 for a large Gaussian
        matrix of any scale, 0 for a matrix of zeros.
    """
    square = matrices.double().flatten(1).square()
    fourth = square.square().sum(dim=1)
    carried = square.sum(dim=1).square() / torch.where(
        fourth > 0, fourth, torch.ones_like(fourth)
    )
    return (carried / square.shape[1]).mean()


def typical_size(matrices: Tensor) -> Tensor:
    """Measure the root mean square of the entries."""
    return matrices.double().square().mean().sqrt()
