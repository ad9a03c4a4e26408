"""The leading directions of a change are those of its singular value decomposition."""

from __future__ import annotations

import pytest
import torch

from probes.models.weights.column_space import leading_directions


def matrix(d_out: int, d_in: int, rank: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    left, right = (
        torch.randn(d, rank, generator=generator, dtype=torch.float64)
        for d in (d_out, d_in)
    )
    return (left * 2.0 ** -torch.arange(rank)) @ right.mT


@pytest.mark.parametrize(("d_out", "d_in"), [(64, 64), (16, 48), (48, 16)])
def test_they_are_the_largest_singular_vectors(d_out: int, d_in: int) -> None:
    change = matrix(d_out, d_in, rank=12)
    found = leading_directions(change, 4)
    exact = torch.linalg.svd(change).U[:, :4]
    assert found @ found.mT == pytest.approx(torch.eye(4).double(), abs=1e-9)
    assert (found @ exact).square().sum() == pytest.approx(4, abs=1e-6)


def test_a_change_of_low_rank_has_no_other_direction() -> None:
    change = matrix(32, 24, rank=2)
    found = leading_directions(change, 4)
    assert found.norm(dim=1) == pytest.approx(torch.tensor([1.0, 1, 0, 0]).double())
    assert found.mT @ found @ change == pytest.approx(change, abs=1e-9)


def test_no_change_has_no_direction() -> None:
    assert not leading_directions(torch.zeros(8, 8), 4).any()


def test_rounding_is_no_direction() -> None:
    change = matrix(32, 24, rank=2).float()
    assert leading_directions(change, 4).norm(dim=1)[2:].eq(0).all()
