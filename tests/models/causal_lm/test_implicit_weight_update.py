"""The rank-one patch is exact on every block, and only by its own formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import ModelError
from probes.learners import RankOnePatch
from probes.measures import patch_error
from probes.models.causal_lm import implicit_weight_update
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.implicit_weight_update import patch_errors, rank_one_patch
from probes.models.untrained import untrained_model
from probes.observations.observation import Observation
from tests.support.tiny_models import HMM, ask, prompts, tiny

EXACT = Settings(n_sets=2, n_queries=3, n_calibration=6, dtype="float64")


@pytest.mark.parametrize("model", [HMM, untrained_model(HMM)])
def test_the_patch_is_exact_on_trained_and_untrained_alike(
    tmp_path: Any, model: Any
) -> None:
    request = ask(RankOnePatch(), EXACT, model=model)
    observation = Observer(Store(tmp_path)).observe(request)
    assert observation["context_effects"].min() > 1e-6
    assert patch_error(observation).values.max() < 1e-10


def errors_of(model: Any, prompt: list[int]) -> torch.Tensor:
    """Give a prompt's errors and effects by layer, its last three tokens being own."""
    return patch_errors(CausalLM(model.double(), None), [prompt], [3])[0].T


@pytest.mark.parametrize("kind", ["tied", "grouped_queries"])
def test_the_context_is_what_attention_brings_into_a_layer(kind: str) -> None:
    model, (prompt,) = tiny(kind).double(), prompts([4], 6)
    n, d_type = len(prompt), torch.float64
    own = torch.arange(n) >= n - 3
    masks = [torch.ones(n, n).tril().bool(), own[:, None] == own]
    found = []
    with torch.no_grad():
        entering = model(torch.tensor([prompt]), output_hidden_states=True)
        for layer, hidden in zip(
            model.model.layers, entering.hidden_states, strict=False
        ):
            turns = model.model.rotary_emb(hidden, torch.arange(n)[None])
            outputs: list[torch.Tensor] = []
            with layer.mlp.register_forward_hook(
                lambda _, __, output, kept=outputs: kept.append(output[0, -1])
            ):
                for seen in (masks[0], masks[0] & masks[1]):
                    mask = torch.zeros(n, n, dtype=d_type).masked_fill(~seen, -1e300)
                    layer(
                        hidden,
                        attention_mask=mask[None, None],
                        position_embeddings=turns,
                    )
            found.append((outputs[0] - outputs[1]).norm())
    _, effects = errors_of(model, prompt)
    torch.testing.assert_close(effects, torch.stack(found), rtol=1e-9, atol=0)


@pytest.mark.parametrize("kind", ["grouped_queries", "sliding"])
def test_prompts_after_one_context_are_as_each_alone(kind: str) -> None:
    model, (prompt, other) = tiny(kind), prompts([4, 9], 6)
    queries = [prompt, [*prompt[:-3], *other[-4:]], other, prompt]
    lengths = [3, 4, 3, 3]
    together = patch_errors(CausalLM(model.double(), None), queries, lengths)
    for query, n, found in zip(queries, lengths, together, strict=True):
        (alone,) = patch_errors(CausalLM(model, None), [query], [n])
        torch.testing.assert_close(found, alone, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", ["grouped_queries", "sliding"])
def test_the_patch_is_exact_on_other_blocks(kind: str) -> None:
    (prompt,) = prompts([4], 6)
    errors, effects = errors_of(tiny(kind), prompt)
    assert effects.min() > 1e-6
    assert errors.max() < 1e-12


@pytest.mark.parametrize("kind", ["neox", "gptj"])
def test_an_mlp_that_no_context_reaches_is_refused_not_supported(kind: str) -> None:
    (prompt,) = prompts([4], 6)
    with pytest.raises(ModelError, match="attention and MLP read the same input"):
        errors_of(tiny(kind), prompt)


@pytest.mark.parametrize(
    "broken",
    [
        lambda W, bare, change: -rank_one_patch(W, bare, change),
        lambda W, bare, change: rank_one_patch(W, bare, change) * bare.square().sum(),
        lambda W, bare, change: rank_one_patch(W, bare, bare + change),
        lambda W, bare, change: rank_one_patch(W, change, change),
    ],
    ids=["sign", "normalisation", "whole input", "other vector"],
)
def test_a_broken_patch_is_seen(monkeypatch: pytest.MonkeyPatch, broken: Any) -> None:
    monkeypatch.setattr(implicit_weight_update, "rank_one_patch", broken)
    (prompt,) = prompts([4], 6)
    errors, effects = errors_of(tiny("tied"), prompt)
    assert (errors / effects).min() > 0.1


def test_the_patch_has_rank_one() -> None:
    torch.manual_seed(0)
    W, bare, change = torch.randn(5, 3), torch.randn(3), torch.randn(3)
    patch = rank_one_patch(W, bare, change)
    assert torch.linalg.matrix_rank(patch) == 1
    torch.testing.assert_close((W + patch) @ bare, W @ (bare + change))


def test_the_error_is_that_of_the_worst_layer_in_units_of_the_effect() -> None:
    arrays = {
        "patch_errors": np.array([[[1.0, 3.0, 0.0]]]),
        "context_effects": np.array([[[10.0, 2.0, 0.0]]]),
    }
    assert patch_error(Observation(arrays=arrays)).mean == 1.5


def test_an_effect_of_zero_is_nothing_to_judge() -> None:
    model = tiny("tied")
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.data.zero_()
    with pytest.raises(ModelError, match="changes the output of the MLP in no layer"):
        errors_of(model, prompts([4], 6)[0])


def test_every_query_needs_an_effect_to_match() -> None:
    queries, lm = prompts([4, 9], 6), CausalLM(tiny("sliding").double(), None)
    with pytest.raises(ModelError, match="in no layer of Mistral.* for 1 of 2 queries"):
        patch_errors(lm, queries, [4, 9])


def test_a_model_without_cached_keys_and_values_is_refused() -> None:
    from transformers import AutoModelForCausalLM, GPT2Config

    sizes = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4}
    config = GPT2Config(**sizes, add_cross_attention=True)
    (prompt,) = prompts([4], 6)
    with pytest.raises(ModelError, match="it keeps no keys and values"):
        errors_of(AutoModelForCausalLM.from_config(config), prompt)


def test_an_mlp_of_other_modules_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("tied")
    for layer in model.model.layers:
        monkeypatch.setattr(layer, "mlp", torch.nn.Sequential(torch.nn.Tanh()))
    with pytest.raises(ModelError, match="No linear module of Sequential"):
        errors_of(model, prompts([4], 6)[0])
