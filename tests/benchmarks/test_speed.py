"""Speed of what is called most, and of the shared prefix against whole prompts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from probes.cell import Settings
from probes.measurement import Measurement
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.loading import load_causal_lm
from probes.run.grid import MODELS
from probes.verdicts.equivalence import equivalence_test

Benchmark = Callable[..., Any]


@pytest.fixture(scope="module")
def llama() -> CausalLM:
    return load_causal_lm(MODELS.get("hmm_llama"), Settings())


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    """200 queries of 3 tokens after 32 demonstrations of 4."""
    rng = np.random.default_rng(0)
    prefix = rng.integers(3, 50, 128).tolist()
    return [[0, *prefix, *rng.integers(3, 50, 3).tolist()] for _ in range(200)]


def test_shared_prefix(
    benchmark: Benchmark, llama: CausalLM, prompts: list[list[int]]
) -> None:
    answers = benchmark(llama.next_token_log_probs, prompts)
    assert answers.shape[0] == 200


def test_whole_prompts_one_by_one(
    benchmark: Benchmark, llama: CausalLM, prompts: list[list[int]]
) -> None:
    def plainly() -> list[torch.Tensor]:
        with torch.inference_mode():
            return [llama.model(torch.tensor([p])).logits[0, -1] for p in prompts]

    found = torch.log_softmax(torch.stack(benchmark(plainly)), -1).numpy()
    np.testing.assert_allclose(found, llama.next_token_log_probs(prompts), atol=1e-4)


def test_a_verdict(benchmark: Benchmark) -> None:
    values = np.random.default_rng(0).normal(size=(10, 40))
    gap = Measurement(name="gap", values=values, unit="")
    assert benchmark(equivalence_test, gap, margin=2.0).verdict == "supported"
