"""An imagined answer: what is asked, and which learners are martingales."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from probes.cell import Settings
from probes.data.prompt_encoding import EncodedPrompts
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import DataError
from probes.learners import ImaginedDemonstration, InContext
from probes.measurement import Array
from probes.measures import martingale_gap
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named
from tests.support.tiny_models import ask

SIZES = Settings(n_sets=40, n_queries=2, n_calibration=2)


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


@dataclass(frozen=True, kw_only=True)
class Counting:
    """Predicts from how often each label was shown.

    Attributes:
        rule: From counts, shape (n_labels,), to weights of labels.
    """

    rule: str

    def answer_prompts(self, model: Any, prompts: EncodedPrompts) -> Observation:
        task = prompts.task
        shape = (len(task.queries), len(task.queries[0]), len(task.answers))
        weights = np.empty(shape)
        for index, shown in enumerate(task.demonstrations):
            counts = np.bincount([e.label for e in shown], minlength=shape[-1])
            weights[index] = RULES[self.rule](counts)
        chances = weights / weights.sum(axis=-1, keepdims=True)
        return Observation(
            arrays={"log_probs": np.log(chances), "gold": np.zeros(shape[:2], int)},
            facts={"label_tokens": list(range(shape[-1]))},
        )


def of_number(counts: Array) -> Array:
    weights = np.ones(len(counts))
    weights[0] += counts.sum()
    return weights


RULES: dict[str, Callable[[Array], Array]] = {
    "Bayes": lambda counts: counts + 1,  # a Dirichlet prior: Pólya's urn
    "number": of_number,
    "forgetful": lambda counts: np.where(counts > 0, counts + 1.0, 0.01),
}


def imagined(observer: Observer, rule: str, draws: int = 16) -> Observation:
    learner = ImaginedDemonstration(reader=Counting(rule=rule), draws=draws)
    return observer.observe(ask(learner, SIZES))


def test_bayes_on_exchangeable_examples_is_a_martingale(observer: Observer) -> None:
    assert martingale_gap(imagined(observer, "Bayes")).mean == pytest.approx(0, abs=0.1)


def test_who_moves_whatever_is_imagined_has_gap_1(observer: Observer) -> None:
    assert martingale_gap(imagined(observer, "number")).values == pytest.approx(1)


def test_who_trusts_own_answers_too_much_is_no_martingale(observer: Observer) -> None:
    """Labels that were not shown lose more than they gain when they are drawn."""
    found = martingale_gap(imagined(observer, "forgetful"))
    bayes = martingale_gap(imagined(observer, "Bayes"))
    assert found.mean > 5 * abs(bayes.mean)


def test_each_draw_shows_one_more_label(observer: Observer) -> None:
    found = imagined(observer, "Bayes", draws=2)
    n_labels = found["before"].shape[-1]
    before = found["before"][:, :, None] * (3 + n_labels)
    more = found["after"] * (4 + n_labels) - before
    assert found["after"].shape == (40, 2, 2, n_labels)
    assert np.sort(more, axis=-1)[..., -1] == pytest.approx(1)
    assert np.sort(more, axis=-1)[..., :-1] == pytest.approx(0, abs=1e-9)


def test_the_model_reads_all_demonstrations_but_the_last(observer: Observer) -> None:
    few = replace(SIZES, n_sets=2)
    found = observer.observe(ask(ImaginedDemonstration(draws=2), few))["before"]
    left_out = observer.observe(ask(InContext(), few, shown="all_but_one"))
    expected = np.exp(left_out.label_log_probs[3::4])  # without the fourth of four
    assert found == pytest.approx(expected, abs=1e-5)


def test_open_answers_and_single_demonstrations_are_refused(
    observer: Observer,
) -> None:
    request = Request(
        learner=ImaginedDemonstration(),
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=1,
        settings=replace(SIZES, n_sets=2),
    )
    with pytest.raises(DataError, match="closed set of labels and at least 2"):
        observer.observe(request)
