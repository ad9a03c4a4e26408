"""Operations that the benchmark counts: those of the same work in plain products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.utils.flop_counter import FlopCounterMode

from probes.learners import GradientLearner
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.llama import attention_backward, fused_attention, prepacked_linear
from probes.models.llama.prepacked_linear import PrepackedWeight
from probes.models.training.optimizers import StackedOptimizer
from probes.models.training.trainer import trainer_for
from probes.models.training.training_runs import TrainingRun
from tests.benchmarks.sides import COUNTED
from tests.support.llamas import batches, built


def counted(work: Callable[[], Any]) -> int:
    with (
        torch.no_grad(),
        FlopCounterMode(display=False, custom_mapping=COUNTED) as counter,
    ):
        work()
    return int(counter.get_total_flops())


def drawn(*sizes: tuple[int, ...]) -> list[torch.Tensor]:
    return [torch.randn(size) for size in sizes]


def test_a_product_that_is_added_counts_as_one_that_is_formed() -> None:
    whole, left, right = drawn((5, 8), (5, 3), (3, 8))
    assert counted(lambda: whole.addmm_(left, right)) == counted(lambda: left @ right)
    stack, lefts, rights = drawn((2, 5, 8), (2, 5, 3), (2, 3, 8))
    added = counted(lambda: stack.baddbmm_(lefts, rights))
    assert added == counted(lambda: lefts @ rights) == 2 * 2 * 5 * 3 * 8


@pytest.mark.skipif(
    not prepacked_linear.has_packing_operators(), reason="this torch packs no weights"
)
def test_a_packed_product_counts_as_a_plain_one() -> None:
    x, weight = drawn((2, 3, 8), (16, 8))
    ours = counted(lambda: PrepackedWeight(weight)(x, None))
    assert ours == counted(lambda: F.linear(x, weight)) == 2 * 2 * 3 * 8 * 16


@pytest.mark.skipif(
    not fused_attention.has_forward_operator(), reason="this torch has no such operator"
)
@pytest.mark.parametrize(("causal", "pairs"), [(False, 25), (True, 15)])
def test_attention_counts_two_products_of_what_is_seen(
    causal: bool, pairs: int
) -> None:
    q, k, v = drawn((1, 2, 5, 4, 8), (1, 2, 5, 4, 8), (1, 2, 5, 4, 8))
    ours = counted(lambda: fused_attention.attend_with_mass(q, k, v, causal=causal))
    assert ours == 2 * 2 * 2 * 4 * pairs * 8


@pytest.mark.skipif(
    not attention_backward.has_backward_operator(), reason="nor such a gradient"
)
def test_a_gradient_of_attention_counts_five_products_of_what_is_seen() -> None:
    q, k, v, onward = drawn(*[(1, 2, 5, 4, 8)] * 3, (2, 5, 4, 8))
    fused = attention_backward.FusedAttention.of(q, k, v, mask=None)
    assert counted(lambda: fused.backward(onward)) == 5 * 2 * 2 * 4 * 15 * 8


@pytest.mark.parametrize("weights", ["all", "W_V@middle"])
@pytest.mark.parametrize("n_runs", [1, 3])
def test_training_counts_alike_however_its_gradients_are_added(
    weights: str, n_runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CausalLM(built("grouped_queries", torch.float32), None)
    learner = GradientLearner(rate=0.1, passes=2, weights=weights)
    runs = [TrainingRun(index=i, rate=0.1, seed=0) for i in range(n_runs)]
    training = trainer_for(model, learner.training, batches())
    added = counted(lambda: training.run(runs, 2))
    monkeypatch.setattr(StackedOptimizer, "_is_addable", lambda *_: False)
    assert added == counted(lambda: training.run(runs, 2)) > 0
