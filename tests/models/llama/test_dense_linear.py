"""Products by oneDNN with weights as they are, and when they are not used."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.llama import dense_linear, prepacked_linear
from probes.models.llama.dense_linear import (
    dense_product,
    dense_product_backward,
    supports_onednn,
)
from probes.models.training.settings import TrainingSettings
from probes.models.training.trainer import trainer_for
from probes.models.training.training_runs import TrainingRun
from tests.support.llamas import FAMILY, batches, built

pytestmark = pytest.mark.skipif(
    not dense_linear.has_dense_operator(), reason="this torch has no such operator"
)


@torch.no_grad()
@pytest.mark.parametrize("shape", [(192, 300), (300, 192)])
def test_products_are_those_of_torch(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    weight, bias = torch.randn(shape), torch.randn(shape[0])
    x, onward = torch.randn(2, 7, shape[1]), torch.randn(2, 7, shape[0])
    assert supports_onednn(x, weight)
    plain = torch.nn.functional.linear(x, weight, bias)
    torch.testing.assert_close(dense_product(x, weight, bias), plain, atol=1e-4, rtol=0)
    back = dense_product_backward(onward, weight)
    torch.testing.assert_close(back, onward @ weight, atol=1e-4, rtol=0)


def test_a_product_that_autograd_records_is_torch_s() -> None:
    weight, x = torch.randn(192, 192, requires_grad=True), torch.randn(3, 192)
    assert not supports_onednn(x, weight)
    assert dense_product(x, weight, None).requires_grad


@torch.no_grad()
@pytest.mark.parametrize(
    ("x", "weight"),
    [
        (torch.zeros(3, 191), torch.zeros(192, 191)),
        (torch.zeros(3, 192).double(), torch.zeros(192, 192).double()),
        (torch.zeros(3, 192, device="meta"), torch.zeros(192, 192, device="meta")),
    ],
    ids=["small", "float64", "device"],
)
def test_other_products_are_torch_s(x: Tensor, weight: Tensor) -> None:
    assert not supports_onednn(x, weight)


@pytest.mark.parametrize("kind", FAMILY)
def test_training_takes_the_same_steps_either_way(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CausalLM(built(kind, torch.float32), None)

    def trained(least: int) -> dict[str, Tensor]:
        monkeypatch.setattr(dense_linear, "MIN_SIDE", least)
        training = trainer_for(model, TrainingSettings(), batches())
        return training.run([TrainingRun(index=0, rate=0.03, seed=0)], 3).weights

    ours, plain = trained(1), trained(10**9)
    for name, weight in plain.items():
        torch.testing.assert_close(ours[name], weight, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("how", ["refuses", "wrong", "wrong_shape"])
def test_an_operator_with_wrong_results_is_not_used(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = prepacked_linear.onednn_product

    def other(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if how == "refuses":
            raise RuntimeError
        found = right(x, weight, bias)
        return found[:1] if how == "wrong_shape" else found + 1e-3

    monkeypatch.setattr(dense_linear, "onednn_product", other)
    assert not dense_linear.has_dense_operator.__wrapped__()
