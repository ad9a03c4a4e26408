"""A GPU answers as the CPU does: every learner of a text model, and every layout.

Skipped where torch sees no GPU. The CPU's answers are held by all other tests.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from probes_fixtures.variants import GRADIENT_LEARNERS

from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import (
    Activations,
    Base,
    InContext,
    LayerCausal,
    NoisyWeights,
    PositionFree,
    RandomUpdate,
    RankOnePatch,
    RepresentationNeighbours,
    TaskVector,
)
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.llama import inference
from probes.models.runtime.memory import free_bytes
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named
from tests.support.tiny_models import prompts, tiny

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a GPU that torch sees"
)
SETTINGS = Settings(
    n_sets=2, n_queries=6, n_calibration=6, device="cuda", dtype="float64"
)
ROUNDING = 1e-6
"""Answers are kept in float32; both machines compute in float64."""


def gd(name: str) -> Any:
    """Make a named learner short: one rate, two passes."""
    learner = GRADIENT_LEARNERS[name]
    return replace(learner, rate=0.003, passes=2)


LEARNERS: dict[str, Any] = {
    "icl": InContext(),
    "base": Base(),
    "position_free": PositionFree(),
    **{
        name: gd(name)
        for name in (
            *("gd", "sgd_reshuffled", "adam", "gd_first_W_Q", "gd_middle_W_V"),
            *("gd_deep_mlp", "gd_last_W_V", "gd_last_W_K", "gd_lora"),
        )
    },
    "random_update": RandomUpdate(matched_to=gd("gd")),
    "searched": replace(GRADIENT_LEARNERS["gd_middle_W_V"], passes=2),
    "layer_causal": Activations(of=LayerCausal(rate=0.01, passes=2)),
    "inside_icl": Activations(of=InContext()),
    "inside_gd": Activations(of=gd("gd_middle_W_V")),
    "patch": RankOnePatch(),
    "task_vector": TaskVector(),
    "neighbours": RepresentationNeighbours(),
    "disturbed": NoisyWeights(noise=0.1),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_answers_as_on_the_cpu(name: str, tmp_path: Path) -> None:
    on_gpu = Request(
        learner=LEARNERS[name],
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=SETTINGS,
    )
    on_cpu = replace(on_gpu, settings=replace(SETTINGS, device="cpu"))
    observer = Observer(Store(tmp_path))
    found, wanted = (observer.observe(request) for request in (on_gpu, on_cpu))
    assert found.arrays.keys() == wanted.arrays.keys()
    for part, array in wanted.arrays.items():
        scale = max(1.0, float(np.abs(array).max(initial=0)))
        np.testing.assert_allclose(found[part], array, atol=ROUNDING * scale, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", ["grouped_queries", "tied", "sliding", "neox", "gptj"])
def test_every_layout_answers_as_on_the_cpu(kind: str, dtype: torch.dtype) -> None:
    model = tiny(kind).to(dtype)
    on_gpu = CausalLM(copy.deepcopy(model).to("cuda"), None)
    asked = prompts([3, 9, 4, 11, 7, 2, 5, 8, 6, 1, 12, 13], 5)
    found = on_gpu.next_token_log_probs(asked)
    wanted = CausalLM(model, None).next_token_log_probs(asked)
    np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=0)


def test_a_gpu_that_is_too_small_for_a_pass_is_asked_in_halves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(inference.TOKENS_PER_PASS, "cuda", 16384)
    torch.manual_seed(0)
    model = CausalLM(tiny("grouped_queries").to("cuda"), None)
    asked = [[(7 * i + j) % 64 for j in range(100)] for i in range(400)]
    assert model.fast_path is not None
    model.n_forward = 0
    wanted = model.next_token_log_probs(asked)
    whole, model.n_forward = model.n_forward, 0
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    room = torch.cuda.memory_reserved() + (
        8 << 20
    )  # less than a pass takes, more than a few prompts do
    torch.cuda.set_per_process_memory_fraction(room / total)
    try:
        found = model.next_token_log_probs(asked)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=0)
    assert model.n_forward > whole


def test_free_memory_counts_what_torch_holds_and_does_not_use() -> None:
    device = torch.device("cuda")
    torch.zeros(1, device=device)
    before = free_bytes(device)
    held = torch.zeros(1 << 26, device=device)
    during = free_bytes(device)
    del held
    after = free_bytes(device)
    assert before is not None
    assert during is not None
    assert after is not None
    assert min(before, after) - during >= 1 << 28
