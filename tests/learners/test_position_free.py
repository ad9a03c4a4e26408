"""ICL without an order: demonstrations side by side, or answers averaged over them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import ModelError, ShapeError
from probes.learners import Base, InContext, PositionFree
from probes.measures import distance_reduction, order_sensitivity, total_variation
from probes.models.causal_lm import parallel_context_windows
from probes.models.causal_lm.causal_lm import CausalLM
from probes.models.causal_lm.loading import load_causal_lm
from probes.models.causal_lm.parallel_context_windows import log_probs_after
from probes.observations.mixture import averaged
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named
from tests.support.tiny_models import tiny

SIZES = Settings(n_sets=2, n_queries=3, n_calibration=2)
PAIRS = [("hmm_llama", "hmm"), ("text_llama", "inferences")]


@pytest.fixture(scope="module")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


def asked(learner: Any, model: str, dataset: str, n: int, **changes: Any) -> Request:
    return Request(
        learner=learner,
        model=model_named(model),
        dataset=dataset_named(dataset),
        n_demonstrations=n,
        settings=SIZES,
        **changes,
    )


@pytest.mark.parametrize(("model", "dataset"), PAIRS)
def test_one_demonstration_side_by_side_is_an_ordinary_prompt(
    observer: Observer, model: str, dataset: str
) -> None:
    ours, theirs = (
        observer.observe(asked(learner, model, dataset, 1))
        for learner in (PositionFree(), InContext())
    )
    np.testing.assert_allclose(ours.log_probs, theirs.log_probs, atol=1e-4)


def test_side_by_side_is_one_pass_in_which_demonstrations_share_their_places() -> None:
    llama = load_causal_lm(model_named("hmm_llama"), SIZES)
    head, parts, asked = [1], [[9, 20, 33], [8, 30]], [17, 41]
    places = [0, 1, 2, 3, 1, 2, 4, 5]  # the query begins after the longest part
    sees = np.tril(np.ones((8, 8), dtype=bool))
    sees[4:6, 1:4] = False  # the second part does not see the first
    mask = torch.where(torch.from_numpy(sees), 0.0, -1e9)
    with torch.no_grad():
        logits = llama.model(
            input_ids=torch.tensor([[*head, *parts[0], *parts[1], *asked]]),
            position_ids=torch.tensor([places]),
            attention_mask=mask[None, None],
        ).logits[0, -1]
    wanted = torch.log_softmax(logits, dim=-1).numpy()
    found = log_probs_after(llama, head, parts, [asked, asked[:1]])[0]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("kind", ["grouped_queries", "tied", "neox", "gptj"])
def test_other_architectures_read_side_by_side_too(kind: str) -> None:
    model = CausalLM(tiny(kind).double(), None)
    head, part, other, asked = [1], [9, 20, 33, 4, 5], [12, 13, 14], [[17, 41], [8]]
    alone = log_probs_after(model, head, [part], asked)
    plain = model.next_token_log_probs([head + part + ask for ask in asked])
    np.testing.assert_allclose(alone, plain, atol=1e-6)
    both = log_probs_after(model, head, [part, other], asked)
    turned = log_probs_after(model, head, [other, part], asked)
    np.testing.assert_allclose(both, turned, atol=1e-6)
    assert abs(both - alone).max() > 1e-4


def test_a_window_that_hides_parts_is_refused() -> None:
    model = CausalLM(tiny("sliding"), None)
    log_probs_after(model, [1], [[9], [20]], [[17]])
    with pytest.raises(ModelError, match="attends to 8 tokens"):
        log_probs_after(model, [1], [[9, 20, 33, 4], [5, 6, 7]], [[17]])


def test_queries_in_batches_are_answered_as_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    llama = load_causal_lm(model_named("hmm_llama"), SIZES)
    asked = [[17, 41], [8], [33, 5, 9]]
    whole = log_probs_after(llama, [1], [[9, 20], [30]], asked)
    monkeypatch.setattr(parallel_context_windows, "TOKENS_HELD", 1)
    single = log_probs_after(llama, [1], [[9, 20], [30]], asked)
    np.testing.assert_allclose(single, whole, atol=1e-5)


@pytest.mark.parametrize(("model", "dataset"), PAIRS)
def test_side_by_side_no_order_is_left(
    observer: Observer, model: str, dataset: str
) -> None:
    orders = [
        [observer.observe(asked(one, model, dataset, 3, order=k)) for k in range(3)]
        for one in (PositionFree(), InContext())
    ]
    free, ordinary = map(order_sensitivity, orders)
    assert free.mean < 1e-5
    assert ordinary.mean > 1e-3


def test_every_demonstration_is_read(observer: Observer) -> None:
    gold, other = (
        observer.observe(asked(PositionFree(), *PAIRS[0], 3, draw=draw))
        for draw in (0, 1)
    )
    base = observer.observe(asked(Base(), *PAIRS[0], 3))
    assert total_variation(gold, other).mean > 0.01
    assert total_variation(gold, base).mean > 0.01


def answered(*chances: float) -> Observation:
    log_probs = np.log(np.array([[chances]]))
    return Observation(arrays={"log_probs": log_probs}, facts={"label_tokens": [0, 1]})


def test_answers_are_averaged_as_probabilities() -> None:
    mixed = averaged([answered(0.9, 0.1), answered(0.3, 0.7)])
    np.testing.assert_allclose(np.exp(mixed.log_probs), [[[0.6, 0.4]]])


def test_the_average_of_one_answer_is_that_answer() -> None:
    one = answered(0.25, 0.75)
    np.testing.assert_allclose(averaged([one, one]).log_probs, one.log_probs)
    assert averaged([one]).facts == one.facts


def test_answers_of_other_cells_are_not_averaged() -> None:
    with pytest.raises(ShapeError):
        averaged([answered(0.5, 0.5), answered(0.2, 0.3, 0.5)])


def test_an_answer_comes_nearer_by_the_distance_that_it_loses() -> None:
    before, after, target = answered(0.9, 0.1), answered(0.6, 0.4), answered(0.5, 0.5)
    assert distance_reduction(before, after, target).mean == pytest.approx(0.3)
    assert distance_reduction(after, before, target).mean == pytest.approx(-0.3)
    assert distance_reduction(before, before, target).mean == 0
    assert distance_reduction(before, answered(0.1, 0.9), target).mean == pytest.approx(
        0
    )


def test_a_mixture_is_nearer_to_any_target_than_its_parts_on_average() -> None:
    rng = np.random.default_rng(0)
    parts = [answered(*rng.dirichlet(np.ones(5))) for _ in range(4)]
    for _ in range(20):
        target = answered(*rng.dirichlet(np.ones(5)))
        gains = [
            distance_reduction(part, averaged(parts), target).mean for part in parts
        ]
        assert np.mean(gains) >= -1e-12
