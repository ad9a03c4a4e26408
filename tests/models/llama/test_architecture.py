"""What is read of a model's design, and which designs are left to the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.llama.architecture import Design, is_llama_family
from probes.models.llama.inference import llama_if_equivalent
from tests.support.llamas import FAMILY, built, group


@pytest.mark.parametrize("kind", FAMILY)
def test_the_family_is_written_out(kind: str) -> None:
    assert llama_if_equivalent(built(kind)) is not None


def test_the_design_of_gemma_3_is_read() -> None:
    design = Design.of(built("gemma3"), d_head=12)
    assert design == Design(
        activation="gelu_pytorch_tanh",
        adds_one=True,
        has_head_norms=True,
        is_sandwiched=True,
        query_scale=20**-0.5,
        logit_cap=2.0,
        windows=[8, None, 8],
        rotary_kinds=["sliding_attention", "full_attention", "sliding_attention"],
    )


def test_the_design_of_llama_is_plain() -> None:
    assert Design.of(built("tied"), d_head=8) == Design(
        activation="silu",
        adds_one=False,
        has_head_norms=False,
        is_sandwiched=False,
        query_scale=8**-0.5,
        logit_cap=None,
        windows=[None, None],
        rotary_kinds=[None, None],
    )


UNKNOWN: dict[str, dict[str, Any]] = {
    "capped_scores": {"attn_logit_softcapping": 50.0},
    "both_directions": {"use_bidirectional_attention": True},
    "activation": {"hidden_activation": "relu"},
    "rotation_by_length": {
        "rope_parameters": {
            "full_attention": {"rope_type": "dynamic", "rope_theta": 1e4},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        }
    },
}


@pytest.mark.parametrize("change", UNKNOWN)
def test_an_unknown_setting_is_left_to_the_library(change: str) -> None:
    model = built("gemma3")
    assert is_llama_family(model)
    for name, value in UNKNOWN[change].items():
        setattr(model.config, name, value)
    assert not is_llama_family(model)
    lm = CausalLM(model, None)
    assert lm.next_token_log_probs(group(9, [2, 3])).shape == (2, 64)
    assert lm.fast_path is None


def spoil_scale(model: Any) -> None:
    for layer in model.model.layers:
        layer.self_attn.scaling *= 3


def spoil_head_norm(model: Any) -> None:
    for layer in model.model.layers:
        layer.self_attn.q_norm.eps = 1.0


@pytest.mark.parametrize("spoil", [spoil_scale, spoil_head_norm])
def test_an_unknown_variation_of_gemma_3_is_noticed(
    spoil: Callable[[Any], None],
) -> None:
    model = built("gemma3")
    assert llama_if_equivalent(model) is not None
    spoil(model)
    assert llama_if_equivalent(model) is None
