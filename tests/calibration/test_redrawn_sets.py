"""Cells are judged on draws of a pool's sets, which are those of the pool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probes.calibration.planted_cells import TEXT_REDRAWN, TEXT_WORDS
from probes.calibration.planted_runs import PLUGIN, QUIET
from probes.calibration.redrawn_sets import (
    SETS_JUDGED,
    SetDraw,
    read_redraws,
    write_redraws,
)
from probes.cell import Settings
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import InContext
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named
from tests.support.running import Ran, run

POOL = 12


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Observer:
    return Observer(Store(tmp_path_factory.mktemp("store")))


def asked(n_sets: int, **changes: Any) -> Request:
    return Request(
        learner=InContext(),
        model=model_named("hmm_llama"),
        dataset=dataset_named("hmm"),
        n_demonstrations=4,
        settings=Settings(n_sets=n_sets, n_queries=3, n_calibration=4),
        **changes,
    )


@pytest.mark.parametrize("n_groups", [1, 3, 8, 30])
def test_a_draw_repeats_no_set_and_keeps_the_groups(n_groups: int) -> None:
    drawn = [
        SetDraw.of(n_pool=40, n_sets=10, n_groups=n_groups, seed=seed).chosen
        for seed in range(50)
    ]
    for chosen in drawn:
        assert len(set(chosen)) == 10
        assert [i % n_groups for i in chosen] == [i % n_groups for i in range(10)]
    assert len(set(drawn)) > 40 or n_groups == 30
    if n_groups < 30:
        assert {i for chosen in drawn for i in chosen} == set(range(40))


@pytest.mark.parametrize("shown", ["all", "each_alone"])
def test_a_claim_gets_the_chosen_sets_of_the_pool(real: Observer, shown: Any) -> None:
    draw = SetDraw.of(n_pool=POOL, n_sets=5, n_groups=8, seed=3)
    pool = real.observe(asked(POOL, shown=shown))
    taken = draw.observe(asked(5, shown=shown), real.observe)
    n_views = 4 if shown == "each_alone" else 1
    for name, array in taken.arrays.items():
        by_set = pool[name].reshape(POOL, n_views, *array.shape[1:])
        assert np.array_equal(array, by_set[list(draw.chosen)].reshape(array.shape)), (
            name
        )
    assert taken.shape[0] == 5 * n_views


def test_a_request_for_another_number_of_sets_is_answered_as_it_is(
    real: Observer,
) -> None:
    draw = SetDraw.of(n_pool=POOL, n_sets=5, n_groups=8, seed=3)
    assert draw.observe(asked(2), real.observe) == real.observe(asked(2))


def test_what_sets_share_stays_whole() -> None:
    shared = np.arange(6.0).reshape(1, 6)
    answered = Observation(arrays={"own": np.arange(12.0).reshape(12, 1), "q": shared})
    draw = SetDraw(n_pool=12, chosen=(7, 2))
    taken = draw.observe(asked(2), lambda request: answered)
    assert taken["own"].ravel().tolist() == [7.0, 2.0]
    assert taken["q"] is shared


def row(claim: str, alone: str, p: float) -> dict[str, Any]:
    """Make a row of which the correction reads these fields."""
    effect = {"value": p, "margin": 1.0, "sets": None, "p": p, "n_sets": 10}
    return {
        "claim": claim, "model": "m", "dataset": "d", "n_demonstrations": 4,
        "verdict": alone, "alone": alone, "effects": [effect],
        "p_supported": 1 - p, "p_refuted": p, "reason": "",
    }  # fmt: skip


def test_verdicts_are_counted_alone_and_after_the_correction(tmp_path: Path) -> None:
    quiet = [row(f"other {i}", "inconclusive", 0.9) for i in range(9)]
    redrawn = [
        [row("a", "refuted", 0.03), *quiet],
        [row("a", "refuted", 0.001), *quiet],
    ]
    write_redraws(redrawn, tmp_path)
    found = {one["claim"]: one for one in read_redraws(tmp_path)}
    assert found["a"]["verdicts"] == {"refuted": 2}
    assert found["a"]["corrected"] == {"inconclusive": 1, "refuted": 1}
    assert json.loads((tmp_path / "redraws.json").read_text("utf-8"))


def judged(folder: Path, *more: str) -> Ran:
    return run(
        folder,
        "claims/test_construction.py::test_one_layer_is_one_step",
        *("--models", "learned_lsa_1", "--datasets", "linear", "--demos", "10"),
        *("--sets", "20", "--raw", "-p", "no:xdist", "-p", PLUGIN, "-W", QUIET),
        *("--plant", "as it is", "--shared-store", str(folder / "shared"), *more),
    )


def test_a_run_judges_the_shipped_claim_on_every_draw(tmp_path: Path) -> None:
    done, of_pool = judged(tmp_path, "--redraws", "3"), judged(tmp_path / "pool")
    (counts,) = read_redraws(done.reports)
    assert counts["verdicts"] == {"supported": 3}
    (last,), (whole,) = done.rows, of_pool.rows
    draw = SetDraw.of(n_pool=20, n_sets=SETS_JUDGED, n_groups=1, seed=2)
    ours = np.array(last["effects"][0]["sets"])
    theirs = np.array(whole["effects"][0]["sets"])[list(draw.chosen)]
    # The unit, the answers' size, is estimated anew from the sets of each draw.
    assert ours / ours.mean() == pytest.approx(theirs / theirs.mean(), rel=1e-3)
    assert ours.std() > 0.02 * ours.mean()


def test_pools_are_larger_than_a_draw() -> None:
    for part in (TEXT_REDRAWN, TEXT_WORDS):
        n_pool = int(part.sizes[part.sizes.index("--sets") + 1])
        assert n_pool >= 20
        assert part.redraws >= 200
