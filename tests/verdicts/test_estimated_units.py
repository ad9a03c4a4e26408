"""Units that are estimated: their error counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from probes.errors import ShapeError
from probes.measurement import Measurement
from probes.verdicts.equivalence import describe, equivalence_test
from probes.verdicts.superiority import superiority_test

SHAPE = (10, 40)


def gap(mean: float, *, unit_spread: float, seed: int = 0) -> Measurement:
    """Draw a gap that does not vary, in a unit that differs from set to set."""
    rng = np.random.default_rng(seed)
    by_set = 1 + unit_spread * rng.uniform(-1, 1, size=(SHAPE[0], 1))
    unit = np.broadcast_to(by_set, SHAPE) / by_set.mean()
    values = mean + 1e-3 * rng.normal(size=SHAPE)
    return Measurement(name="gap", unit="sizes", values=values, unit_values=unit)


@pytest.mark.parametrize("mean", [0.9, 1.1])
def test_a_unit_that_is_uncertain_leaves_a_verdict_open(mean: float) -> None:
    found = gap(mean, unit_spread=0.6)
    known = replace(found, unit_values=None)
    assert equivalence_test(known, margin=1.0).verdict != "inconclusive"
    assert equivalence_test(found, margin=1.0).verdict == "inconclusive"


def test_a_unit_that_does_not_vary_changes_nothing() -> None:
    found = gap(0.9, unit_spread=0.0)
    known = replace(found, unit_values=None)
    ours, theirs = (equivalence_test(one, margin=1.0) for one in (found, known))
    assert ours.p_supported == pytest.approx(theirs.p_supported)
    assert ours.effect.high == pytest.approx(theirs.effect.high)


def test_the_interval_is_as_wide_as_the_units_error_makes_it() -> None:
    effect = describe(gap(1.0, unit_spread=0.6))
    known = describe(replace(gap(1.0, unit_spread=0.6), unit_values=None))
    assert effect.low is not None
    assert effect.high is not None
    assert known.low is not None
    assert known.high is not None
    assert effect.high - effect.low > 10 * (known.high - known.low)


@pytest.mark.parametrize("mean", [0.5, 0.98, 1.02, 1.9])
@pytest.mark.parametrize("spread", [0.05, 0.6])
def test_support_is_the_interval_inside_the_margin(mean: float, spread: float) -> None:
    found = equivalence_test(gap(mean, unit_spread=spread), margin=1.0, one_sided=True)
    assert found.effect.high is not None
    assert (found.verdict == "supported") == (found.effect.high < 1.0)


def test_an_advantage_in_an_estimated_unit_is_the_mirrored_test() -> None:
    ours = gap(1.3, unit_spread=0.2)
    above = superiority_test(ours, margin=1.0)
    below = equivalence_test(ours, margin=1.0, one_sided=True)
    assert above.p_supported == pytest.approx(below.p_refuted)
    assert above.p_refuted == pytest.approx(below.p_supported)


def test_differences_keep_the_unit_and_refuse_another() -> None:
    one, other = gap(1.0, unit_spread=0.2), gap(0.5, unit_spread=0.2)
    assert one.minus(other).unit_values is one.unit_values
    with pytest.raises(ShapeError, match="estimated from different answers"):
        one.minus(gap(0.5, unit_spread=0.2, seed=1))
