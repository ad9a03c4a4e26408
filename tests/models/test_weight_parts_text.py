"""Weights that move are named and counted in words."""

from __future__ import annotations

import pytest

from probes.models.weights.parameter_groups import parameters_of
from probes.models.weights.weight_parts import parts_of, parts_text
from tests.support.tiny_models import tiny


@pytest.mark.parametrize(
    ("kind", "weights", "text"),
    [
        (
            "tied",
            "W_V@middle",
            "model.layers.1.self_attn.v_proj.weight: 1,024 weights",
        ),
        (
            "neox",
            "W_V@first",
            "gpt_neox.layers.0.attention.query_key_value.weight[W_V]: 1,024 weights",
        ),
        (
            "grouped_queries",
            "W_V@all",
            "2 tensors, model.layers.0.self_attn.v_proj.weight to "
            "model.layers.1.self_attn.v_proj.weight: 1,024 weights",
        ),
    ],
)
def test_parts_are_named_by_the_first_and_the_last(
    kind: str, weights: str, text: str
) -> None:
    model = tiny(kind)
    parts = [part for part in parts_of(model, weights) if part.matrix]
    assert parts_text(parts, parameters_of(model, weights)) == text
