"""A GPU's memory runs out: the batch is run in halves, and answers as it would have."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.prompt_encoding import EncodedPrompts
from probes.data.text_tasks import draw_text
from probes.data.tokenization import verbalize
from probes.errors import ModelError
from probes.learners import GradientLearner
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.loading import load_causal_lm
from probes.models.llama.model import Llama
from probes.models.runtime.oom_halving import with_oom_backoff
from probes.models.training.label_batches import encode_label_batches
from probes.models.training.llama_backend import LlamaBackend
from probes.models.training.trainer import trainer_for
from probes.models.training.training_runs import TrainedWeights, TrainingRun
from probes.models.training.walks import Walks
from probes.run.grid import MODELS, dataset_named

SETTINGS = Settings(n_sets=4, n_queries=4, n_calibration=4, dtype="float64")


def out_of_memory() -> torch.OutOfMemoryError:
    return torch.OutOfMemoryError("CUDA out of memory (injected).")


@settings(deadline=None)
@given(n=st.integers(1, 40), room=st.integers(1, 40))
def test_every_item_is_run_once_in_order_and_fits(n: int, room: int) -> None:
    sizes = []

    def run(items: Sequence[int]) -> list[int]:
        if len(items) > room:
            raise out_of_memory()
        sizes.append(len(items))
        return [10 * item for item in items]

    parts = list(with_oom_backoff(range(n), run, what="one"))
    assert [item for items, _ in parts for item in items] == list(range(n))
    assert [x for _, found in parts for x in found] == [10 * i for i in range(n)]
    assert max(sizes) <= room
    assert len(sizes) == 1 or min(sizes) >= min(n, room) // 2  # no smaller than need be


def test_what_does_not_fit_alone_is_an_error_in_words() -> None:
    def run(items: Sequence[int]) -> None:
        raise out_of_memory()

    wording = r"out with one prompt alone: CUDA .* Expected enough memory for one\."
    with pytest.raises(ModelError, match=wording):
        list(with_oom_backoff([1, 2, 3], run, what="one prompt"))


def test_other_errors_are_left_alone() -> None:
    def run(items: Sequence[int]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(with_oom_backoff([1, 2], run, what="one"))


@pytest.fixture(scope="module")
def llama() -> CausalLM:
    return load_causal_lm(MODELS.get("hmm_llama"), SETTINGS)


def test_halved_prompts_answer_as_whole_batches_do(
    llama: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    shared = rng.integers(3, 50, 12).tolist()
    asked = [[0, *shared, *rng.integers(3, 50, n).tolist()] for n in (3, 9, 1, 4, 17)]
    whole, answer, sizes = llama.log_probs_by_library(asked), CausalLM._answer, []

    def cramped(model: Any, suffixes: Any, *rest: Any) -> Any:
        if len(suffixes) > 2:
            raise out_of_memory()
        sizes.append(len(suffixes))
        return answer(model, suffixes, *rest)

    monkeypatch.setattr(CausalLM, "_answer", cramped)
    np.testing.assert_allclose(llama.log_probs_by_library(asked), whole, atol=1e-6)
    assert sorted(sizes) == [1, 2, 2]


def test_passes_that_run_out_of_memory_are_made_smaller(
    llama: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [[0, *range(3, 15), *range(20, 20 + n)] for n in (3, 9, 1, 4, 17)]
    whole, logits, room = llama.next_token_log_probs(asked), Llama.logits, 40

    def cramped(self: Llama, hidden: Any, *rest: Any, **options: Any) -> Any:
        if hidden.shape[1] > room:
            raise out_of_memory()
        return logits(self, hidden, *rest, **options)

    monkeypatch.setattr(Llama, "logits", cramped)
    np.testing.assert_allclose(llama.next_token_log_probs(asked), whole, atol=1e-6)
    room = 1
    with pytest.raises(ModelError, match="runs out with one prompt alone"):
        llama.next_token_log_probs(asked)


@pytest.mark.parametrize("method", ["run", "walk"])
def test_halved_trainings_end_as_stacked_ones_do(
    llama: CausalLM, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = draw_text(
        read_rows(dataset_named("hmm"), None), SETTINGS, n_demonstrations=2
    )
    labels = verbalize(llama.tokenizer, task)
    batches = encode_label_batches(
        llama, EncodedPrompts.of(llama, task, labels), task.demonstrations
    )
    learner = GradientLearner(rate=0.1, passes=2, weights="W_V@middle")
    runs = [TrainingRun(index=i, rate=0.1, seed=i) for i in range(4)]

    def outcome() -> list[Any]:
        training = trainer_for(llama, learner.training, batches)
        if method == "run":
            return [training.run(runs, 2).weights]
        found = {}

        def read(stack: Any, done: int, trained: TrainedWeights) -> None:
            for i, run in enumerate(stack):
                own = trained.of(i).items()
                found.update({f"{run.index} {done} {k}": w.clone() for k, w in own})

        walks = Walks(training)
        for places in ((1, 2), (3,)):
            walks.advance(runs, places, read)
        return [dict(sorted(found.items()))]

    whole, gradients = outcome(), LlamaBackend.gradients

    def cramped(self: Any, weights: Any, columns: Any, batch: Any, rest: Any) -> Any:
        if len(batch[0]) > 3:
            raise out_of_memory()
        return gradients(self, weights, columns, batch, rest)

    monkeypatch.setattr(LlamaBackend, "gradients", cramped)
    halved = outcome()
    assert halved[0].keys() == whole[0].keys()
    for name, tensor in whole[0].items():
        torch.testing.assert_close(halved[0][name], tensor, atol=1e-10, rtol=0)


def test_a_model_over_all_gpus_needs_accelerate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)  # as if not installed
    with pytest.raises(ModelError, match="accelerate is not installed"):
        load_causal_lm(MODELS.get("hmm_llama"), replace(SETTINGS, device="auto"))
