"""A task vector: ICL carried in one hidden state."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import DataError
from probes.learners import Base, TaskVector
from probes.learners.task_vector import LayerChoice, n_dummies
from probes.measures import total_variation
from probes.models.causal_lm.activation_patching import (
    log_probs_with,
    states_at_the_end,
)
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.loading import load_causal_lm
from probes.observations.request import Request
from probes.run.grid import MODELS, dataset_named, model_named

SIZES = Settings(n_sets=2, n_queries=3, n_calibration=4)
LONG, SHORT = [1, 9, 20, 33, 3, 41, 17], [1, 8, 30, 5]


@pytest.fixture(scope="module")
def llama() -> CausalLM:
    return load_causal_lm(MODELS.get("hmm_llama"), SIZES)


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


def asked(learner: Any, settings: Settings = SIZES, **changes: Any) -> Request:
    return Request(
        learner=learner,
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=settings,
        **changes,
    )


def test_a_prompts_own_state_put_in_its_place_changes_nothing(llama: CausalLM) -> None:
    wanted = llama.next_token_log_probs([LONG])
    for layer, state in enumerate(states_at_the_end(llama, [SHORT, LONG])[1]):
        found = log_probs_with(llama, [LONG], layer, state, form="replaced")
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_the_state_after_the_last_layer_is_the_whole_answer(llama: CausalLM) -> None:
    last = states_at_the_end(llama, [LONG])[0, -1]
    found = log_probs_with(llama, [SHORT, [*SHORT, 7]], 3, last, form="replaced")
    wanted = llama.next_token_log_probs([LONG])[0]
    np.testing.assert_allclose(found, [wanted, wanted], atol=1e-4)


def test_adding_the_difference_of_two_states_is_putting_one_for_the_other(
    llama: CausalLM,
) -> None:
    short, long = states_at_the_end(llama, [SHORT, LONG])
    for layer in range(4):
        put = log_probs_with(llama, [SHORT], layer, long[layer], form="replaced")
        gap = long[layer] - short[layer]
        added = log_probs_with(llama, [SHORT], layer, gap, form="added")
        np.testing.assert_allclose(added, put, atol=1e-4)


def test_a_state_of_another_prompt_changes_the_answer_from_every_layer(
    llama: CausalLM,
) -> None:
    plain = llama.next_token_log_probs([SHORT])
    for layer, state in enumerate(states_at_the_end(llama, [LONG])[0]):
        found = log_probs_with(llama, [SHORT], layer, state, form="replaced")
        assert abs(found - plain).max() > 0.01


def test_hooks_are_gone_afterwards(llama: CausalLM) -> None:
    before = llama.next_token_log_probs([SHORT])
    state = states_at_the_end(llama, [LONG])[0, 0]
    log_probs_with(llama, [SHORT], 0, state, form="replaced")
    np.testing.assert_array_equal(llama.next_token_log_probs([SHORT]), before)


@pytest.mark.parametrize("form", ["replaced", "added"])
def test_the_layer_is_that_of_the_least_calibration_loss(
    observer: Observer, form: Any
) -> None:
    choice = LayerChoice(form=form)
    chosen = observer.observe(asked(choice, queries="calibration")).facts
    table = chosen["calibration_losses"]
    assert len(table) == 4
    assert chosen["layer"] == int(np.argmin(table))
    found = observer.observe(asked(TaskVector(form=form))).facts
    assert found["layer"] == chosen["layer"]


@pytest.mark.parametrize("form", ["replaced", "added"])
def test_a_task_vector_moves_the_answer(observer: Observer, form: Any) -> None:
    learners = (Base(), TaskVector(form=form))
    base, vector = (observer.observe(asked(one)) for one in learners)
    assert total_variation(vector, base).mean > 0.01


def test_dummies_are_never_more_than_half_of_the_calibration_queries() -> None:
    def task(n: int) -> Any:
        return SimpleNamespace(queries=[[None] * n])

    assert [n_dummies(task(n)) for n in (2, 3, 7, 8, 24)] == [1, 1, 3, 4, 4]


def test_one_calibration_query_is_too_few_to_choose_a_layer(observer: Observer) -> None:
    few = Settings(n_sets=2, n_queries=3, n_calibration=1)
    with pytest.raises(DataError, match="--calibration 2"):
        observer.observe(asked(TaskVector(), few))
