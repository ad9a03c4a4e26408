"""Adam moves large weights in parts, and comes to the same numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from probes.models.training import optimizers
from probes.models.training.optimizers import StackedOptimizer


def moved(rates: list[float], like: Tensor) -> Tensor:
    """Take three steps of Adam from zero, with gradients that are drawn."""
    torch.manual_seed(0)
    parameters = {"w": torch.zeros_like(like)}
    optimizer = StackedOptimizer(optimizer="adam", rates=torch.tensor(rates))
    for _ in range(3):
        optimizer.begin_step()
        gradient = torch.empty_like(like).copy_(torch.randn(like.shape))
        optimizer.move(parameters, "w", gradient)
    return parameters["w"]


@pytest.mark.parametrize(
    ("rates", "like"),
    [
        ([0.1], torch.zeros(5, 16)),
        ([0.1], torch.zeros(3)),
        ([0.1], torch.zeros(16, 5).t()),
        ([0.1, 0.3], torch.zeros(2, 5, 16)),
    ],
    ids=["matrix", "vector", "transposed", "stack"],
)
def test_parts_move_as_the_whole(
    rates: list[float], like: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = moved(rates, like)
    assert bool((whole != 0).all())
    monkeypatch.setattr(optimizers, "IN_CACHE", 16)
    torch.testing.assert_close(moved(rates, like), whole, atol=1e-7, rtol=0)
