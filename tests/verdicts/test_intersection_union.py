"""Several means at once: the nearest of rivals, every layer."""

from __future__ import annotations

import numpy as np
import pytest

from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.errors import ClaimError
from probes.measurement import Measurement
from probes.verdicts.equivalence import equivalence_test
from probes.verdicts.intersection_union import intersection_union_test
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Undecided
from probes.verdicts.thresholds import SEVERAL_FACTOR
from tests.support.cards import dataset, model

SHAPE = (10, 40)
CELL = Cell(
    model=model("m"), dataset=dataset("d"), n_demonstrations=4, settings=Settings()
)
CLAIM = ClaimCard(name="c", sentence="s", source="s", on="text")


def drawn(mean: float, spread: float = 0.5, *, seed: int = 0) -> Measurement:
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    values = mean + spread * (noise - noise.mean())
    return Measurement(name=f"distance {mean}", unit="nats", values=values)


@pytest.mark.parametrize(
    ("means", "verdict", "decides"),
    [
        ((0.1, 0.5), "supported", 0.5),
        ((0.1, 0.99), "inconclusive", 0.99),
        ((0.1, 2.0), "refuted", 2.0),
        ((2.0, 3.0), "refuted", 3.0),
    ],
)
def test_all_means_must_lie_below_the_margin(
    means: tuple[float, ...], verdict: str, decides: float
) -> None:
    several = [drawn(mean, seed=seed) for seed, mean in enumerate(means)]
    found = intersection_union_test(several, margin=1.0)
    assert found.verdict == verdict
    assert found.effect.name == f"distance {decides}"


def test_p_values_are_the_largest_and_simes() -> None:
    means = (0.97, 1.05, 1.02, 0.1)  # the last is clearly inside
    several = [drawn(mean, seed=seed) for seed, mean in enumerate(means)]
    alone = [equivalence_test(one, margin=1.0, one_sided=True) for one in several]
    found = intersection_union_test(several, margin=1.0)
    assert found.p_supported == max(one.p_supported or 0.0 for one in alone)
    first, second, third = sorted(one.p_refuted or 0.0 for one in alone[:3])
    simes = SEVERAL_FACTOR / 0.9 * min(3 * first, 1.5 * second, third)
    assert found.p_refuted == pytest.approx(min(1.0, simes))


def test_means_that_are_clearly_inside_cost_one_that_is_outside_a_tenth() -> None:
    outside = drawn(1.08)
    inside = [drawn(0.1, seed=seed) for seed in range(1, 20)]
    alone = equivalence_test(outside, margin=1.0, one_sided=True).p_refuted
    found = intersection_union_test([outside, *inside], margin=1.0).p_refuted
    assert found == pytest.approx((alone or 0.0) / 0.9)


def test_one_mean_alone_is_the_plain_test() -> None:
    one = drawn(0.8)
    found = intersection_union_test([one], margin=1.0)
    assert found == equivalence_test(one, margin=1.0, one_sided=True)


def test_a_refuted_ones_interval_lies_outside_the_margin() -> None:
    found = intersection_union_test([drawn(1.12), drawn(0.2, seed=1)], margin=1.0)
    low = found.effect.low
    assert low is not None
    assert (found.verdict == "refuted") == (low > 1.0)
    assert found.verdict == "refuted"


def test_no_measurement_is_refused() -> None:
    with pytest.raises(ClaimError, match="No measurement was given"):
        intersection_union_test([], margin=1.0)


def rivals(*means: float) -> tuple[Measurement, dict[str, Measurement]]:
    gd = drawn(1.0, seed=9)
    found = {f"rival {i}": drawn(mean, seed=i) for i, mean in enumerate(means)}
    return gd, found


def judge() -> Judge:
    return Judge(CLAIM, CELL)


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ((2.0, 3.0), "supported"),
        ((2.0, 0.98), "inconclusive"),
        ((2.0, 0.5), "refuted"),
    ],
)
def test_gd_is_nearest_only_if_it_is_clearly_so_against_every_rival(
    means: tuple[float, ...], verdict: str
) -> None:
    ours = judge()
    ours.is_nearest(*rivals(*means), tolerance=0.0, margin=1e-6)
    assert ours.judgement is not None
    assert ours.judgement.verdict == verdict


def test_leading_in_the_sample_is_no_support() -> None:
    ours = judge()
    ours.is_nearest(*rivals(1.02), tolerance=0.0, margin=1e-6)
    assert ours.judgement is not None
    assert ours.judgement.effect.value < 0
    assert ours.judgement.verdict == "inconclusive"


def test_a_rival_that_is_the_same_as_gd_is_named_and_not_counted() -> None:
    gd, others = rivals(2.0)
    ours = judge()
    ours.is_nearest(gd, {"GD++": gd, **others}, tolerance=0.0, margin=1e-6)
    assert ours.judgement is not None
    assert ours.judgement.verdict == "supported"
    assert "the same as GD here, so no rival: GD++" in ours.note


def test_a_cell_in_which_every_rival_is_gd_has_nothing_to_judge() -> None:
    gd, _ = rivals()
    ours = judge()
    with pytest.raises(Undecided, match="every rival answers as GD does"):
        ours.is_nearest(gd, {"GD++": gd}, tolerance=0.0, margin=1e-6)
