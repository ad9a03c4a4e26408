"""The claim on flipped labels is judged as the truth is, where it is known."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from probes_fixtures.efficiency import flips_win_somewhere

import claims.test_labels as claimed
from probes.cell import Cell, Settings
from probes.errors import ShapeError
from probes.measures import flipped_accuracy
from probes.observations.observation import Observation
from probes.run.grid import dataset_named, model_named
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Undecided

SIZES = Settings(n_sets=20, n_queries=60)
SHAPE = (SIZES.n_sets, SIZES.n_queries)
N_LABELS = 3
NUMBERS = (1, 2, 4, 8)
RNG = np.random.default_rng(0)
GOLD = RNG.integers(N_LABELS, size=SHAPE)


CELL = Cell(
    model=model_named("hmm_llama"),
    dataset=dataset_named("hmm"),
    n_demonstrations=8,
    settings=SIZES,
)


def following(share: float) -> Observation:
    """Follow the flipped label in a share of the answers, the own label in others."""
    chosen = (GOLD + (RNG.random(SHAPE) < share)) % N_LABELS
    log_probs = np.log(np.where(np.arange(N_LABELS) == chosen[..., None], 0.8, 0.1))
    return Observation(
        arrays={"log_probs": log_probs, "gold": GOLD},
        facts={"label_tokens": list(range(N_LABELS))},
    )


def curve(*shares: float) -> dict[str, Observation]:
    return {f"{n}": following(p) for n, p in zip(NUMBERS, shares, strict=True)}


def verdict(
    icl: dict[str, Observation],
    gd: dict[str, Observation],
    nearest: dict[str, Observation] | None = None,
) -> str:
    claim: Any = claimed.test_labels_win_over_priors
    judge = Judge(claim.claim, CELL)
    bare = {"ICL": curve(0, 0, 0, 0), "GD": curve(0, 0, 0, 0)}
    named = (
        {f"{arm} after {n}": point for n, point in points.items()}
        for arm, points in (("ICL", icl), ("best", gd), ("GD", nearest or gd))
    )
    claim(*named, bare, following(0.0), judge)
    assert judge.judgement is not None
    return judge.judgement.verdict


CROSSING, BEHIND = curve(0.2, 0.4, 0.7, 0.95), curve(0.05, 0.1, 0.2, 0.4)


def test_the_same_curve_is_supported_whether_or_not_it_crosses() -> None:
    assert verdict(CROSSING, CROSSING) == "supported"
    assert verdict(BEHIND, BEHIND) == "supported"


def test_another_draw_of_the_same_curve_is_supported() -> None:
    assert verdict(CROSSING, curve(0.2, 0.4, 0.7, 0.95)) == "supported"


def test_icl_that_stays_behind_its_priors_is_refuted() -> None:
    assert verdict(BEHIND, CROSSING) == "refuted"
    assert verdict(CROSSING, BEHIND) == "refuted"


def test_some_gd_that_is_as_icl_is_enough() -> None:
    assert verdict(BEHIND, CROSSING, nearest=BEHIND) == "supported"
    assert verdict(BEHIND, BEHIND, nearest=CROSSING) == "inconclusive"


@pytest.mark.parametrize(
    ("gd", "dismissed"), [(curve(0, 0, 0, 0), True), (curve(0, 0, 0, 0.5), False)]
)
def test_a_cell_in_which_nobody_follows_flips_is_dismissed(
    gd: dict[str, Observation], dismissed: bool
) -> None:
    judge = Judge(claimed.test_labels_win_over_priors.claim, CELL)  # type: ignore
    check: Any = flips_win_somewhere.__wrapped__  # type: ignore[attr-defined]
    raises = pytest.raises(Undecided, match="neither ICL nor GD")
    with raises if dismissed else contextlib.nullcontext():
        check(None, curve(0, 0, 0, 0), gd, following(0.0), judge)


def test_the_share_that_follows_flips_is_measured() -> None:
    assert flipped_accuracy(following(1.0)).mean == 1
    assert flipped_accuracy(following(0.0)).mean == 0
    assert flipped_accuracy(following(0.4)).mean == pytest.approx(0.4, abs=0.05)


def test_open_answers_have_no_flips() -> None:
    arrays = {"gold_tokens": np.zeros((1, 2, 1)), "log_probs": np.zeros((1, 2, 3))}
    with pytest.raises(ShapeError, match="closed set of labels"):
        flipped_accuracy(Observation(arrays=arrays))
