"""Hooks read what passes a named point, replace it, and leave nothing behind."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from probes.errors import ModelError
from probes.models.causal_lm.hooks import Point, Visit, hooked, modules_at, skipped
from tests.support.tiny_models import tiny

POINTS = get_args(Point)
KINDS = ["grouped_queries", "tied", "sliding", "neox", "gptj"]
IDS = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        answer: Tensor = model(IDS).logits
    return answer


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_is_visited_in_order_and_no_answer_changes(
    kind: str, point: Point
) -> None:
    model = tiny(kind)
    before = logits(model)
    visits: list[Visit] = []
    with hooked(model, point, visits.append):
        assert torch.equal(logits(model), before)
    assert [visit.index for visit in visits] == [0, 1]
    assert {visit.tensor.shape for visit in visits} == {(2, 5, 32)}
    logits(model)
    assert len(visits) == 2


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_that_is_returned_replaces_the_one_that_passes(
    kind: str, point: Point
) -> None:
    model = tiny(kind)
    before = logits(model)
    with hooked(model, point, lambda visit: visit.tensor.clone()):
        assert torch.equal(logits(model), before)
    with hooked(model, point, lambda visit: visit.tensor * 2 + 1, layers=[1]):
        assert not torch.allclose(logits(model), before)
    assert torch.equal(logits(model), before)


def test_a_layer_reads_what_the_layer_below_returned() -> None:
    model = tiny("tied")
    entered: list[Visit] = []
    left: list[Visit] = []
    with (
        hooked(model, "layer_input", entered.append, layers=[1]),
        hooked(model, "layer_output", left.append, layers=[0]),
    ):
        logits(model)
    assert entered[0].tensor is left[0].tensor


def test_a_replaced_layer_input_is_what_the_layer_computes_from() -> None:
    model = tiny("tied")
    last = modules_at(model, "layer_output")[-1]
    with hooked(model, "layer_input", lambda visit: visit.tensor * 0):
        changed = logits(model)
    with skipped([last], torch.zeros(2, 5, 32)):
        empty = logits(model)
    torch.testing.assert_close(changed, empty, rtol=0, atol=1e-6)


def test_skipped_modules_compute_again_after_an_error() -> None:
    model = tiny("tied")
    before = logits(model)
    with (
        pytest.raises(ZeroDivisionError),
        skipped(modules_at(model, "layer_output"), torch.zeros(2, 5, 32)),
    ):
        raise ZeroDivisionError
    assert torch.equal(logits(model), before)


def test_an_architecture_without_a_point_is_refused() -> None:
    from transformers import MambaConfig, MambaForCausalLM

    config = MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2)
    model = MambaForCausalLM(config)
    for point, part in (("mlp_input", "MLP"), ("attention_input", "self-attention")):
        with (
            pytest.raises(ModelError, match=f"Not every layer .* has {part}"),
            hooked(model, point, lambda _: None),  # type: ignore[arg-type]
        ):
            pass
