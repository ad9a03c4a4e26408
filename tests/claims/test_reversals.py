"""The claim on reversals is judged as the truth is, where it is known."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from probes_fixtures.reversals import icl_learns_facts, somebody_reverses_facts

import claims.test_reversals as claimed
from probes.cell import Cell, Settings
from probes.data.text_tasks import Example, TextTask
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import GradientLearner, InContext
from probes.measures import gold_probability, label_accuracy
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Undecided

SIZES = Settings(n_sets=10, n_queries=40)
CELL = Cell(
    model=model_named("text_llama"),
    dataset=dataset_named("nonce_capitals"),
    n_demonstrations=32,
    settings=SIZES,
)


def task_of(queries: Any) -> TextTask:
    request = Request.of(CELL, InContext(), queries=queries)
    return request.text_task(lambda rows: rows)


DIRECT, REVERSED = task_of("demonstrated"), task_of("reversed")


def two_ways(shown: tuple[Example, ...], query: Example) -> str:
    """Find the fact that has the query's name on either side, and give the other."""
    for one in shown:
        town, country = one.ask.split()[0], one.answer.strip()
        if town in query.ask:
            return country
        if country in query.ask:
            return town
    return ""


def one_way(shown: tuple[Example, ...], query: Example) -> str:
    """Find the fact that begins with the query's name, and go on as it does."""
    known = {one.ask: one.answer.strip() for one in shown}
    return known.get(query.ask, "")


def nothing(shown: tuple[Example, ...], query: Example) -> str:
    """Know no fact."""
    del shown, query
    return ""


def answered(task: TextTask, learner: Any) -> Observation:
    right = np.array(
        [
            [
                learner(shown, query) == task.answers[query.label].strip()
                for query in asked
            ]
            for shown, asked in zip(task.demonstrations, task.queries, strict=True)
        ]
    )
    arrays = {
        "log_probs": np.zeros((*right.shape, 1)),
        "is_right": right,
        "right_log_probs": np.log(np.where(right, 0.9, 0.01)),
        "gold_tokens": np.zeros((*right.shape, 1), dtype=int),
    }
    return Observation(arrays=arrays)


def verdict(icl: Any, gd: Any, best: Any = None) -> str:
    claim: Any = claimed.test_generalises_alike
    judge = Judge(claim.claim, CELL)
    reversed_by = [
        answered(REVERSED, one) for one in (icl, gd, best or gd, icl, nothing)
    ]
    bare = answered(REVERSED, nothing)
    claim(
        answered(DIRECT, icl), answered(DIRECT, gd), *reversed_by, (bare, bare), judge
    )
    assert judge.judgement is not None
    return judge.judgement.verdict


def test_learners_of_one_kind_are_alike_in_the_direct_form() -> None:
    for learner in (one_way, two_ways):
        assert label_accuracy(answered(DIRECT, learner)).mean == 1
    assert label_accuracy(answered(REVERSED, two_ways)).mean == 1
    assert label_accuracy(answered(REVERSED, one_way)).mean == 0


def test_two_learners_that_reverse_are_alike() -> None:
    assert verdict(two_ways, two_ways) == "supported"


def test_gd_that_learns_one_way_only_is_refuted() -> None:
    assert verdict(two_ways, one_way) == "refuted"
    assert verdict(one_way, two_ways) == "refuted"


def test_gd_at_its_best_must_fail_too() -> None:
    assert verdict(two_ways, one_way, best=two_ways) != "refuted"


@pytest.mark.parametrize(
    ("icl", "gd", "dismissed"),
    [(one_way, one_way, True), (two_ways, one_way, False), (one_way, two_ways, False)],
)
def test_where_nobody_reverses_there_is_nothing_to_compare(
    icl: Any, gd: Any, dismissed: bool
) -> None:
    check: Any = somebody_reverses_facts.__wrapped__  # type: ignore[attr-defined]
    judge = Judge(claimed.test_generalises_alike.claim, CELL)  # type: ignore[attr-defined]
    raises = pytest.raises(Undecided, match="neither ICL nor GD answers facts")
    with raises if dismissed else contextlib.nullcontext():
        check(None, *(answered(REVERSED, one) for one in (icl, gd, nothing)), judge)


def test_icl_that_repeats_no_fact_has_learned_none() -> None:
    check: Any = icl_learns_facts.__wrapped__  # type: ignore[attr-defined]
    judge = Judge(claimed.test_generalises_alike.claim, CELL)  # type: ignore[attr-defined]
    with pytest.raises(Undecided, match="does not repeat the facts"):
        check(answered(DIRECT, nothing), answered(DIRECT, nothing), judge)
    check(answered(DIRECT, one_way), answered(DIRECT, nothing), judge)


def test_gd_of_a_network_learns_the_direct_form_and_not_the_reverse(
    tmp_path: Any,
) -> None:
    """The reversal curse, in a network that ships."""
    small = Cell(
        model=CELL.model,
        dataset=CELL.dataset,
        n_demonstrations=2,
        settings=Settings(n_sets=1, n_queries=2, n_calibration=2),
    )
    observer, learner = Observer(Store(tmp_path)), GradientLearner(rate=0.03, passes=60)
    direct, back = (
        observer.observe(Request.of(small, learner, queries=queries))
        for queries in ("demonstrated", "reversed")
    )
    assert gold_probability(direct).values.min() > 0.5
    assert gold_probability(back).values.max() < 0.01
