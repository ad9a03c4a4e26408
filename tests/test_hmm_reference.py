"""The process behind ``hmm_llama`` answers exactly, and only for its own symbols."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fixtures.explanations import explanations
from fixtures.hmm_reference import HiddenMarkovPosterior, _read
from fixtures.training import hmm_process as hmm
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import DataError
from probes.grid import MODELS, dataset_named, model_named
from probes.learners import InContext
from probes.measures import label_total_variation
from probes.prompts import draw_text
from probes.request import Request
from probes.rows import read_rows
from probes.tasks import Cell, Settings

SIZES = Settings(n_sets=2, n_queries=3, n_calibration=2)
REFERENCE = HiddenMarkovPosterior()


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


def cell(model: str, dataset: str) -> Cell:
    return Cell(
        model=model_named(model),
        dataset=dataset_named(dataset),
        n_demonstrations=4,
        settings=SIZES,
    )


def asked(learner: Any) -> Request:
    return Request.of(cell("hmm_llama", "hmm"), learner)


def test_the_reference_is_the_forward_algorithm_on_the_prompts_words(
    observer: Observer,
) -> None:
    found = observer.observe(asked(REFERENCE))
    rows = read_rows(dataset_named("hmm"), None)
    task = draw_text(rows, SIZES, n_demonstrations=4)
    words = task.in_context(task.demonstrations[1], task.queries[1][2]).split()
    symbols = np.array([0 if word == "/" else int(word[1:]) for word in words])
    wanted = hmm.bayes_log_probs(hmm.make_process(0), symbols)
    np.testing.assert_allclose(
        np.exp(found.log_probs[1, 2, 3:]), np.exp(wanted), atol=1e-6
    )


def test_answers_are_distributions_over_the_models_vocabulary(
    observer: Observer,
) -> None:
    found = observer.observe(asked(REFERENCE))
    assert found.n_vocab == observer.observe(asked(InContext())).n_vocab
    np.testing.assert_allclose(np.exp(found.log_probs).sum(-1), 1, atol=1e-5)


def test_the_model_is_nearer_to_its_own_process_than_to_another(
    observer: Observer,
) -> None:
    icl, own, other = (
        observer.observe(asked(one))
        for one in (InContext(), REFERENCE, HiddenMarkovPosterior(seed=1))
    )
    near, far = (label_total_variation(icl, o).mean for o in (own, other))
    assert near < far / 2


def test_another_process_is_another_observation() -> None:
    keys = {asked(r).key for r in (REFERENCE, HiddenMarkovPosterior(seed=1))}
    recoded = replace(REFERENCE, code="0" * 32)
    assert len(keys | {asked(recoded).key}) == 3


def test_a_word_that_the_process_does_not_know_is_refused() -> None:
    with pytest.raises(DataError, match=r"tokens \[7\]"):
        _read([1, 5, 7], [5, 6])


def test_only_the_registry_knows_which_model_has_a_reference() -> None:
    assert MODELS.get("hmm_llama").reference == REFERENCE
    with_it = explanations.recipe(cell("hmm_llama", "hmm"))
    without = explanations.recipe(cell("text_llama", "opinions"))
    assert with_it["Bayes, exact"] == REFERENCE
    assert set(with_it) - set(without) == {"Bayes, exact"}
