"""Claims about single demonstrations are judged as the truth is, where it is known.

A known learner answers in place of ICL; the claims compare it with GD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from probes_fixtures import demonstrations as recipes

import claims.test_demonstrations as claimed
from probes.cell import Cell, Settings
from probes.data.shown_subsets import places_shown
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.errors import ShapeError
from probes.learners import (
    Base,
    GradientLearner,
    InContext,
    LinearLearner,
    NearestNeighbours,
    OnePassSGD,
)
from probes.measurement import Array
from probes.measures import (
    additivity_gap,
    influence_rank_correlation,
    influence_slope,
)
from probes.observations.observation import Observation
from probes.observations.request import Learner, Request
from probes.pytest_plugin.fixtures import requests_of
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge

RATE = float(model_named("constructed_gd_1").declared[0][1][0])
ON_NUMBERS = Settings(n_sets=20, n_queries=30)
ON_TEXT = Settings(n_sets=10, n_queries=30, n_calibration=10)
GD = GradientLearner(rate=0.1, passes=4)
BRIEF_GD = GradientLearner(rate=1e-4, passes=1)


def steps(n: int) -> LinearLearner:
    return LinearLearner(algorithm="gd", steps=n, settings=(RATE,))


def cell_of(variant: str | None = None, *, model: str = "constructed_gd_1") -> Cell:
    is_text = model == "hmm_llama"
    return Cell(
        model=model_named(model),
        dataset=dataset_named("hmm" if is_text else "linear"),
        n_demonstrations=4 if is_text else 10,
        settings=ON_TEXT if is_text else ON_NUMBERS,
        variant=variant,
    )


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Answers recipes with a learner in place of ICL."""

    observer: Observer

    def __call__(
        self, cell: Cell, recipe: Any, icl: Learner | None = None, **changes: Any
    ) -> Any:
        return self._answer(requests_of(cell, recipe), icl, changes)

    def _answer(self, asked: Any, icl: Learner | None, changes: Any) -> Any:
        if isinstance(asked, Mapping):
            return {k: self._answer(v, icl, changes) for k, v in asked.items()}
        if isinstance(asked, list):
            return [self._answer(v, icl, changes) for v in asked]
        if icl is not None and isinstance(asked.learner, InContext):
            asked = replace(asked, learner=icl, **changes)
        return self.observer.observe(asked)


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Asker:
    return Asker(observer=Observer(Store(tmp_path_factory.mktemp("store"))))


def verdict_of(claim: Any, cell: Cell, *arguments: Any) -> str:
    judge = Judge(claim.claim, cell)
    claim(*arguments, judge)
    assert judge.judgement is not None
    return judge.judgement.verdict


def added_up(ask: Asker, icl: Learner) -> str:
    cell = cell_of()
    return verdict_of(
        claimed.test_demonstrations_add_up_in_regression,
        cell,
        ask(cell, recipes.icl_demonstrations.recipe(cell), icl),
        ask(cell, recipes.gd_demonstrations.recipe(cell)),
        [],
    )


def counted_alike(ask: Asker, icl: Learner) -> str:
    cell = cell_of()
    return verdict_of(
        claimed.test_all_demonstrations_count_alike_in_regression,
        cell,
        ask(cell, recipes.icl_relabelled_one_by_one.recipe(cell), icl),
        ask(cell, recipes.gd_relabelled_one_by_one.recipe(cell)),
        [],
    )


def influenced(
    ask: Asker, cell: Cell, icl: Learner, gd: Learner | None = None, **changes: Any
) -> str:
    """Judge ICL that is known, against the cell's GD or one that is given."""
    ours = ask(cell, recipes.icl_influence.recipe(cell), icl, **changes)
    gradient, itself = (
        recipe.recipe(cell)
        if gd is None or (recipe is recipes.gradient_influence and is_inner(cell))
        else recipes.with_and_without(cell, gd)
        for recipe in (recipes.gradient_influence, recipes.gd_influence)
    )
    theirs = ask(cell, gradient)
    claim: Any = claimed.test_same_demonstration_influence
    if not cell.model.answers_text:
        claim = claimed.test_same_demonstration_influence_in_regression
    floors = {"another query": (ours, recipes.of_another_query(tuple(theirs)))}
    return verdict_of(claim, cell, ours, ask(cell, itself), theirs, ours, floors)


def is_inner(cell: Cell) -> bool:
    return cell.variant == "inner_product"


def test_one_linear_step_adds_up_to_rounding_and_eight_do_not(ask: Asker) -> None:
    one, eight = (
        additivity_gap(**ask(cell, recipes.alone_and_together(cell, steps(n))))
        for cell, n in ((cell_of(), 1), (cell_of(), 8))
    )
    assert one.values.max() < 1e-13
    assert 0.3 < eight.mean < 1  # half of what eight steps do is no sum


@pytest.mark.parametrize(
    ("icl", "verdict"),
    [
        (steps(1), "supported"),
        (InContext(), "supported"),  # the construction
        (LinearLearner(algorithm="gd", steps=1, settings=(2 * RATE,)), "supported"),
        (steps(8), "refuted"),
        (LinearLearner(algorithm="ols"), "refuted"),
        (NearestNeighbours(), "refuted"),
    ],
)
def test_adding_up_is_supported_of_one_step_and_refuted_of_others(
    ask: Asker, icl: Learner, verdict: str
) -> None:
    assert added_up(ask, icl) == verdict


def relabelled(ask: Asker, learner: Learner) -> tuple[Observation, Observation]:
    cell = cell_of()
    asked = recipes.with_and_without(cell, learner, changed="one_relabelled")
    whole, changed = ask(cell, asked)
    return whole, changed


def test_the_rise_is_that_of_one_pass_of_sgd_in_closed_form(ask: Asker) -> None:
    sgd, gd = (influence_slope(relabelled(ask, a)) for a in (OnePassSGD(), steps(1)))
    kept = 0.9 ** (np.arange(9, -1, -1) / 2)  # of an effect, from the first to the last
    places = np.linspace(-0.5, 0.5, 10)
    expected = (kept @ places) / (places @ places) / kept.mean()
    assert expected == pytest.approx(0.47, abs=0.01)
    assert sgd.minus(gd).mean == pytest.approx(expected, abs=0.1)
    assert gd.mean == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("icl", "verdict"),
    [(steps(1), "supported"), (InContext(), "supported"), (OnePassSGD(), "refuted")],
)
def test_counting_alike_is_supported_of_gd_and_refuted_of_sgd(
    ask: Asker, icl: Learner, verdict: str
) -> None:
    assert counted_alike(ask, icl) == verdict


@pytest.mark.parametrize("variant", recipes.KINDS)
def test_influence_is_gds_where_icl_is_gd(ask: Asker, variant: str) -> None:
    cell = cell_of(variant)
    ours = tuple(ask(cell, recipes.icl_influence.recipe(cell), steps(1)))
    theirs = tuple(ask(cell, recipes.gradient_influence.recipe(cell)))
    assert influence_rank_correlation(ours, theirs).values.min() == pytest.approx(1)
    assert influenced(ask, cell, steps(1)) == "supported"


@pytest.mark.parametrize("variant", recipes.KINDS)
def test_influence_is_unrelated_where_the_learner_is(ask: Asker, variant: str) -> None:
    cell = cell_of(variant)
    ours = tuple(ask(cell, recipes.icl_influence.recipe(cell), steps(1), draw=1))
    theirs = tuple(ask(cell, recipes.gradient_influence.recipe(cell)))
    assert abs(influence_rank_correlation(ours, theirs).mean) < 0.05
    assert influenced(ask, cell, steps(1), draw=1) == "refuted"
    assert influenced(ask, cell, NearestNeighbours()) == "refuted"


@pytest.mark.parametrize("variant", recipes.KINDS)
def test_influence_is_gds_after_several_steps_too(ask: Asker, variant: str) -> None:
    cell = cell_of(variant, model="constructed_gd_4")
    ours = tuple(ask(cell, recipes.icl_influence.recipe(cell)))
    theirs = tuple(ask(cell, recipes.gradient_influence.recipe(cell)))
    found = influence_rank_correlation(ours, theirs).mean
    assert found < 0.95 if is_inner(cell) else found == pytest.approx(1)
    assert influenced(ask, cell, InContext()) == "supported"
    assert influenced(ask, cell, InContext(), draw=1) == "refuted"


@pytest.mark.parametrize("variant", recipes.KINDS)
@pytest.mark.parametrize("gd", [BRIEF_GD, GD])
def test_influence_is_gds_where_gd_answers_in_place_of_icl_on_text(
    ask: Asker, variant: str, gd: GradientLearner
) -> None:
    cell = cell_of(variant, model="hmm_llama")
    assert influenced(ask, cell, gd, gd) == "supported"
    assert influenced(ask, cell, gd, gd, draw=1) != "supported"


def test_influence_is_not_that_of_a_gd_that_learns_nothing(ask: Asker) -> None:
    cell = cell_of("leave_one_out", model="hmm_llama")
    assert influenced(ask, cell, GD, Base()) == "refuted"


def test_leaving_out_is_training_on_the_others(ask: Asker) -> None:
    cell = cell_of()
    request = Request.of(cell, LinearLearner(algorithm="ols"), shown="all_but_one")
    task = replace(request, shown="all").regression_task()
    found = ask(cell, request).predictions.reshape(20, 10, 30)
    for s, i in ((0, 0), (3, 7), (19, 9)):
        kept = [k for k in range(10) if k != i]
        weights: Array = np.linalg.pinv(task.x[s, kept]) @ task.y[s, kept]
        assert found[s, i] == pytest.approx(task.queries[s] @ weights, abs=1e-8)


def text_effects(ask: Asker, learner: Learner) -> dict[str, Observation]:
    cell = cell_of(model="hmm_llama")
    return dict(ask(cell, recipes.alone_and_together(cell, learner)))


def test_text_is_read_in_context_as_if_each_demonstration_were_alone(
    ask: Asker,
) -> None:
    cell = cell_of(model="hmm_llama")
    alone = ask(cell, Request.of(cell, InContext(), shown="each_alone"))
    model = ask.observer.models.get(cell.model, cell.settings)
    task = Request.of(cell, InContext()).text_task(lambda rows: rows)
    made = task.showing(places_shown(task.orders(None), "each_alone"))
    place, query = 4 * 3 + 2, made.queries[4 * 3 + 2][5]
    text = task.in_context([task.demonstrations[3][2]], query)
    encoded = [model.tokenizer.encode(text)]
    (expected,) = model.next_token_log_probs(encoded)
    assert alone.log_probs[place, 5] == pytest.approx(expected, abs=1e-4)


def test_small_steps_of_gd_on_text_add_up_and_large_ones_do_not(ask: Asker) -> None:
    small, large = (
        additivity_gap(**text_effects(ask, learner)) for learner in (BRIEF_GD, GD)
    )
    assert small.mean < 0.02
    assert large.mean > 3 * small.mean


def test_claims_are_supported_where_gd_answers_in_place_of_icl_on_text(
    ask: Asker,
) -> None:
    cell = cell_of(model="hmm_llama")
    asked = text_effects(ask, GD)
    claim: Any = claimed.test_demonstrations_add_up
    assert verdict_of(claim, cell, asked, asked, []) == "supported"
    relabelled = recipes.with_and_without(cell, GD, changed="one_relabelled")
    pair = tuple(ask(cell, relabelled))
    claim = claimed.test_all_demonstrations_count_alike
    assert verdict_of(claim, cell, pair, pair, []) == "supported"


def test_effects_need_several_sets_for_each_set() -> None:
    one = Observation(arrays={"predictions": np.zeros((2, 3))})
    with pytest.raises(ShapeError, match=r"at least two sets .*all_but_one"):
        influence_slope((one, one))
    more, most = (Observation(arrays={"predictions": np.zeros((n, 3))}) for n in (4, 6))
    with pytest.raises(ShapeError, match="same sets, demonstrations and queries"):
        influence_rank_correlation((one, more), (one, most))
