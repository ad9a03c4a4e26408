"""Rank-one patches of all layers replace the context, and only by their own formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from probes_fixtures.activations import context_acts
from torch.func import functional_call

import claims.test_identities as claimed
from probes.cell import Cell, Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import ModelError
from probes.learners import RankOnePatches
from probes.measures import patch_error
from probes.models.causal_lm import all_layers_patch
from probes.models.causal_lm.all_layers_patch import (
    MATRICES,
    all_layers_patch_errors,
    patch_layer,
)
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.untrained import untrained_model
from probes.observations.observation import Observation
from probes.run.grid import dataset_named
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Undecided
from tests.support.tiny_models import HMM, ask, prompts, tiny

EXACT = Settings(n_sets=2, n_queries=3, n_calibration=6, dtype="float64")


@pytest.mark.parametrize("model", [HMM, untrained_model(HMM)])
def test_the_patches_are_exact_on_trained_and_untrained_alike(
    tmp_path: Any, model: Any
) -> None:
    request = ask(RankOnePatches(), EXACT, model=model)
    observation = Observer(Store(tmp_path)).observe(request)
    assert observation["patch_errors"].shape == (2, 3, 5)  # four layers, and logits
    assert observation["context_effects"].min() > 1e-6
    assert patch_error(observation).values.max() < 1e-10


def errors_of(model: Any, prompt: list[int]) -> torch.Tensor:
    """Give a prompt's errors and effects, its last three tokens being the query."""
    lm = CausalLM(model.double(), None)
    return all_layers_patch_errors(lm, [(prompt, prompt[-3:])])[0].T


def test_the_library_answers_as_after_the_context_with_the_changed_weights() -> None:
    """The changed weights are read out and put into the model by another way."""
    model, (prompt,) = tiny("grouped_queries").double(), prompts([4], 6)
    changed: dict[str, torch.Tensor] = {}
    names = [f"model.layers.{i}.mlp.{m}.weight" for i in range(2) for m in MATRICES]

    def keep(*_: Any) -> None:
        changed.update({name: model.get_parameter(name).clone() for name in names})

    with model.lm_head.register_forward_pre_hook(keep):  # the last pass is changed
        errors_of(model, prompt)
    alone = torch.tensor([prompt[-3:]])
    with torch.no_grad():
        wanted = model(torch.tensor([prompt])).logits[0, -1]
        bare = model(alone).logits[0, -1]
        found = functional_call(model, changed, alone).logits[0, -1]
    assert (wanted - bare).norm() > 0.1
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    for name in names:
        change = changed[name] - model.get_parameter(name)
        assert torch.linalg.matrix_rank(change, rtol=1e-9) == 1


def test_the_weights_are_the_models_own_afterwards() -> None:
    model, (prompt,) = tiny("tied").double(), prompts([4], 6)
    before = {name: p.clone() for name, p in model.named_parameters()}
    errors_of(model, prompt)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


BREAKS = {
    "without W_D": lambda name, by: 0 * by if name == "down_proj" else by,
    "without W_G": lambda name, by: 0 * by if name == "gate_proj" else by,
    "W_U with the other sign": lambda name, by: -by if name == "up_proj" else by,
    "W_D twice": lambda name, by: 2 * by if name == "down_proj" else by,
}


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS.keys())
def test_a_broken_patch_is_seen(monkeypatch: pytest.MonkeyPatch, broken: Any) -> None:
    monkeypatch.setattr(
        all_layers_patch,
        "patch_layer",
        lambda *given: {k: broken(k, by) for k, by in patch_layer(*given).items()},
    )
    errors, effects = errors_of(tiny("tied"), prompts([4], 6)[0])
    assert (errors / effects)[0] > 1e-3


def test_layers_without_gates_are_refused() -> None:
    with pytest.raises(ModelError, match="gated MLPs behind RMS norms"):
        errors_of(tiny("neox"), prompts([4], 6)[0])


def patched(errors: object, effects: object = 1.0) -> Observation:
    shape = (3, 2, 5)
    arrays = {"patch_errors": errors, "context_effects": effects}
    return Observation(arrays={k: np.full(shape, v) for k, v in arrays.items()})


def judge() -> Judge:
    claim: Any = claimed.test_context_is_a_rank_one_patch_of_all_layers
    cell = Cell(
        model=HMM, dataset=dataset_named("hmm"), n_demonstrations=4, settings=EXACT
    )
    return Judge(claim.claim, cell)


@pytest.mark.parametrize(
    ("error", "verdict"), [(1e-14, "supported"), (1e-3, "refuted")]
)
def test_the_claim_is_supported_by_exact_patches_alone(
    error: float, verdict: str
) -> None:
    claim: Any = claimed.test_context_is_a_rank_one_patch_of_all_layers
    judging = judge()
    claim(patched(error), patched(0.0), judging)
    assert judging.judgement is not None
    assert judging.judgement.verdict == verdict


def test_a_context_without_effect_is_nothing_to_judge() -> None:
    check: Any = context_acts.__wrapped__  # type: ignore[attr-defined]
    with pytest.raises(Undecided, match="the context changes nothing"):
        check(patched(0.0, effects=0.0), judge())
    check(patched(0.0), judge())
