"""Which demonstrations a learner sees: one alone, all but one, none."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from probes.cards import LinearTasks
from probes.cell import Settings
from probes.data.datasets import read_rows
from probes.data.regression_tasks import RegressionTask, draw_tasks
from probes.data.shown_subsets import (
    Shown,
    number_shown,
    places_shown,
    sets_of_each,
)
from probes.data.text_tasks import TextTask, draw_text
from probes.errors import DataError
from probes.learners import InContext
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named

SIZES = Settings(n_sets=2, n_queries=4, n_calibration=5)
ORDERS = np.array([[2, 0, 1], [1, 2, 0]])
SEED = 5


def numbers() -> RegressionTask:
    return draw_tasks(
        LinearTasks(n_inputs=2), n_sets=2, n_demonstrations=3, n_queries=4, seed=0
    )


def words() -> TextTask:
    rows = read_rows(dataset_named("opinions"), None)
    return draw_text(rows, SIZES, n_demonstrations=3)


def asked(dataset: str, model: str) -> Request:
    return Request(
        learner=InContext(),
        model=model_named(model),
        dataset=dataset_named(dataset),
        n_demonstrations=3,
        settings=SIZES,
    )


def changed(request: Request) -> Request:
    return replace(request, shown="one_relabelled")


def test_all_but_one_keeps_the_order_of_the_others() -> None:
    assert places_shown(ORDERS, "all_but_one").tolist() == [
        [[2, 1], [2, 0], [0, 1]],  # without 0, without 1, without 2
        [[1, 2], [2, 0], [1, 0]],
    ]


def test_each_alone_goes_through_the_draw_whatever_the_order() -> None:
    assert places_shown(ORDERS, "each_alone").tolist() == [[[0], [1], [2]]] * 2


def test_all_is_the_order_itself_and_none_is_empty() -> None:
    assert places_shown(ORDERS, "all").tolist() == [[row] for row in ORDERS.tolist()]
    assert places_shown(ORDERS, "none").shape == (2, 1, 0)


@pytest.mark.parametrize("shown", get_args(Shown))
def test_the_numbers_of_a_view_are_those_of_its_places(shown: Shown) -> None:
    made, n_shown = places_shown(ORDERS, shown).shape[1:]
    assert (made, n_shown) == (sets_of_each(shown, 3), number_shown(shown, 3))


def test_regression_tasks_are_made_set_by_set_with_their_own_queries() -> None:
    task = numbers()
    made = task.showing(places_shown(task.orders(None), "all_but_one"))
    for s in range(2):
        for left_out in range(3):
            others = [i for i in range(3) if i != left_out]
            at = 3 * s + left_out
            assert (made.x[at] == task.x[s, others]).all()
            assert (made.y[at] == task.y[s, others]).all()
            assert (made.answers[at] == task.answers[s]).all()
            assert (made.queries[at] == task.queries[s]).all()


def test_one_answer_after_another_turns_its_sign() -> None:
    request = asked("linear", "constructed_gd_1")
    whole, made = (r.regression_task() for r in (request, changed(request)))
    for i in range(3):
        signs = np.where(np.arange(3) == i, -1, 1)
        assert (made.y[i::3] == whole.y * signs).all()
        assert (made.x[i::3] == whole.x).all()


@pytest.mark.parametrize("order", [0, 1])
def test_one_label_after_another_becomes_the_next(order: int) -> None:
    request = replace(asked("headlines", "text_llama"), order=order)
    whole, made = (r.text_task(lambda rows: rows) for r in (request, changed(request)))
    drawn = replace(request, order=0).text_task(lambda rows: rows)
    n_labels = len(whole.answers)
    for s, i in np.ndindex(2, 3):
        for before, after in zip(
            whole.demonstrations[s], made.demonstrations[3 * s + i], strict=True
        ):
            is_changed = before == drawn.demonstrations[s][i]
            assert after.label == (before.label + is_changed) % n_labels
            assert after.answer == whole.answers[after.label]
            assert after.ask == before.ask


def test_open_answers_cannot_be_relabelled_one_by_one() -> None:
    request = changed(asked("antonym", "text_llama"))
    with pytest.raises(DataError, match="answers are open"):
        request.text_task(lambda rows: rows)


def test_texts_are_made_set_by_set_with_their_own_queries() -> None:
    task = words()
    made = task.showing(places_shown(task.orders(None), "each_alone"))
    one_by_one = [(e,) for of_set in task.demonstrations for e in of_set]
    assert list(made.demonstrations) == one_by_one
    assert list(made.queries) == [q for q in task.queries for _ in range(3)]


@pytest.mark.parametrize("draw", [numbers, words])
def test_another_order_without_one_is_that_order_less_the_one(draw: object) -> None:
    task = draw()  # type: ignore[operator]
    orders = task.orders(SEED)
    whole = task.reordered(SEED)
    made = task.showing(places_shown(orders, "all_but_one"))
    if isinstance(task, TextTask):
        for s, of_set in enumerate(task.demonstrations):
            for i, one in enumerate(of_set):
                rest = tuple(e for e in whole.demonstrations[s] if e != one)
                assert made.demonstrations[3 * s + i] == rest
        return
    for s in range(2):
        for i in range(3):
            rest = [y for y in whole.y[s] if y != task.y[s, i]]
            assert made.y[3 * s + i].tolist() == rest
