"""The directions in which a change of a matrix moves its outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from probes.hashing import seed_of

SWEEPS = 4
"""Products with the matrix and its transpose. Each one squares the ratio by which
larger singular values stand out."""
MORE = 8
"""Directions that are followed besides those that are wanted."""


def leading_directions(change: Tensor, n: int) -> Tensor:
    """Find the left singular vectors of the largest singular values, approximately.

    Args:
        change: A matrix, shape (d_out, d_in).
        n: How many; a matrix of rank n or less has its whole column space among them.

    Returns:
        Orthonormal rows, shape (n, d_out), float64; 0 beyond the matrix's rank.

    Reference:
        Halko, Martinsson and Tropp 2011, doi:10.1137/090771806, algorithm 4.4, with
        seeded Gaussian directions.
    """
    wide = change.detach().double().cpu()
    d_out, d_in = wide.shape
    generator = torch.Generator().manual_seed(seed_of("directions", d_out, d_in))
    width = min(n + MORE, d_out, d_in)
    followed = torch.randn(d_in, width, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(wide @ followed).Q
    for _ in range(SWEEPS):
        basis = torch.linalg.qr(wide @ torch.linalg.qr(wide.mT @ basis).Q).Q
    within, sizes, _ = torch.linalg.svd(basis.mT @ wide, full_matrices=False)
    found = torch.zeros(n, d_out, dtype=torch.float64)
    is_there = sizes[:n] > sizes[0] * torch.finfo(change.dtype).eps
    found[: len(is_there)] = (basis @ within[:, :n]).mT * is_there[:, None]
    return found
