"""Data efficiency: accuracy against numbers of demonstrations, and what rows give."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claims.test_output import test_same_data_efficiency as curve_claim
from claims.test_output import test_same_data_efficiency_with_more as more_claim
from fixtures.activations import inside_icl_reordered
from fixtures.efficiency import (
    gd_by_number,
    gd_on_more,
    icl_by_number,
    numbers_up_to,
    untrained_by_number,
    untrained_gd_on_more,
)
from fixtures.observations import icl_reordered
from probes.contrast import UNTRAINED
from probes.errors import DataError, ShapeError
from probes.grid import dataset_named, model_named
from probes.judge import Judge
from probes.measures import accuracy_over_numbers
from probes.observation import Observation
from probes.prompts import draw_text, largest_set
from probes.rows import read_rows
from probes.tasks import Cell, Settings
from probes.twins import untrained_twin

ROWS = read_rows(dataset_named("hmm"), None)


def answered(right: list[bool]) -> Observation:
    """Answer two labels; the gold one is 0."""
    sure = [[0.9, 0.1] if one else [0.1, 0.9] for one in right]
    gold = np.zeros((1, len(right)), dtype=np.int64)
    arrays = {"log_probs": np.log(np.array([sure])), "gold": gold}
    return Observation(arrays=arrays, facts={"label_tokens": [0, 1]})


def test_the_area_under_the_curve_is_the_mean_accuracy_of_its_points() -> None:
    curve = [answered([False, True]), answered([True, True])]
    assert accuracy_over_numbers(curve).values.tolist() == [[0.5, 1.0]]


def test_a_curve_of_one_point_is_its_accuracy() -> None:
    assert accuracy_over_numbers([answered([True, False])]).mean == 0.5


def test_points_of_other_queries_are_refused() -> None:
    with pytest.raises(ShapeError):
        accuracy_over_numbers([answered([True]), answered([True, True])])


@given(st.integers(1, 600))
@settings(deadline=None)
def test_numbers_double_from_one_and_end_with_the_cells(most: int) -> None:
    found = numbers_up_to(most)
    assert found[0] == 1
    assert found[-1] == most
    assert all(b == 2 * a for a, b in pairwise(found[:-1]))
    assert found == sorted(set(found))


def test_the_largest_set_can_be_drawn_and_a_larger_one_cannot() -> None:
    sizes = Settings(n_sets=10, n_queries=5, n_calibration=24)
    most = largest_set(ROWS, sizes)
    draw_text(ROWS, sizes, n_demonstrations=most)
    with pytest.raises(DataError, match="train rows"):
        draw_text(ROWS, sizes, n_demonstrations=most + 1)


@pytest.mark.parametrize(("variant", "trained_on"), [("times_4", 32), ("times_64", 8)])
def test_gd_gets_more_demonstrations_where_the_rows_suffice(
    variant: str, trained_on: int
) -> None:
    asked = gd_on_more.recipe(cell(variant))
    assert asked.n_demonstrations == trained_on
    assert replace(asked, n_demonstrations=8).queries == "verdict"
    bare = untrained_gd_on_more.recipe(cell(variant))
    assert bare == replace(asked, model=untrained_twin(asked.model))


def cell(variant: str | None = None) -> Cell:
    return Cell(
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=8,
        settings=Settings(),
        variant=variant,
    )


# ------------------------------------------------------------ the untrained arms


def test_untrained_curves_have_the_points_of_the_trained_ones() -> None:
    curves = untrained_by_number.recipe(cell())
    for name, recipe in {"ICL": icl_by_number, "GD": gd_by_number}.items():
        trained = recipe.recipe(cell()).values()
        twin = untrained_twin(cell().model)
        assert curves[name] == [replace(point, model=twin) for point in trained]


def right(share: float) -> Observation:
    """Answer forty queries after each of ten sets, a share of them rightly."""
    one = answered([place < 40 * share for place in range(40)])
    arrays = {name: np.repeat(array, 10, axis=0) for name, array in one.arrays.items()}
    return replace(one, arrays=arrays)


@pytest.mark.parametrize(("bare_gd", "is_alike"), [(0.75, True), (0.0, False)])
def test_curves_that_random_weights_bring_as_near_are_told(
    bare_gd: float, is_alike: bool
) -> None:
    judge = Judge(curve_claim.claim, cell())
    icl, gd = ({arm: right(share)} for arm, share in (("ICL", 0.75), ("GD", 0.5)))
    bare = {"ICL": [right(0.75), right(0.75)], "GD": [right(bare_gd), right(bare_gd)]}
    curve_claim(icl, gd, bare, right(0.0), judge)
    assert (f"{UNTRAINED} scores" in judge.note) == is_alike
    shown = {e.name: e.value for e in judge.beside}
    area = "label accuracy over numbers of demonstrations"
    assert shown[f"{area} difference: {UNTRAINED}"] == 0.75 - bare_gd


@pytest.mark.parametrize(("bare_gd", "is_alike"), [(0.75, True), (0.0, False)])
def test_more_demonstrations_for_random_weights_are_told_if_as_good(
    bare_gd: float, is_alike: bool
) -> None:
    judge = Judge(more_claim.claim, cell("times_2"))
    arms = [right(share) for share in (0.75, 0.5, 0.75, bare_gd, 0.0)]
    more_claim(*arms, judge)
    assert (f"{UNTRAINED} scores" in judge.note) == is_alike
    shown = {e.name: e.value for e in judge.beside}
    assert shown[f"label accuracy difference: {UNTRAINED}"] == 0.75 - bare_gd


# ------------------------------------------------------------- a single demonstration


@pytest.mark.parametrize("likeness", [icl_reordered, inside_icl_reordered])
def test_a_single_demonstration_has_no_other_order_and_another_in_its_place(
    likeness: Any,
) -> None:
    one, two = (likeness.recipe(replace(cell(), n_demonstrations=n)) for n in (1, 2))
    assert (one.order, one.draw) == (0, 1)
    assert (two.order, two.draw) == (1, 0)
