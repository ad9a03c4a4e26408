"""Gates: a gain is clear, excluded, or neither."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.cell import Cell, Settings
from probes.claims import ClaimCard
from probes.measurement import Array, Measurement
from probes.verdicts.gain import find_gain, gain_flags
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Undecided
from probes.verdicts.thresholds import LEAST_GAIN
from tests.support.cards import dataset, model

SHAPE = (10, 40)
CELL = Cell(
    model=model("m"), dataset=dataset("d"), n_demonstrations=4, settings=Settings()
)
CLAIM = ClaimCard(name="c", sentence="s", source="s", on="text")


def gains(mean: float, spread: float, *, seed: int = 0) -> Measurement:
    """Draw a gain whose mean is exact."""
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    values = mean + spread * (noise - noise.mean())
    return Measurement(name="gain of ICL", unit="probability", values=values)


@pytest.mark.parametrize(
    ("mean", "spread", "finding"),
    [
        (0.3, 0.1, "clear"),
        (0.01, 0.01, "clear"),
        (-0.01, 0.1, "excluded"),
        (0.0, 0.0, "excluded"),
        (0.002, 0.1, "possible"),  # one of .05 is excluded, but one is measured
        (-0.01, 2.0, "possible"),  # none is measured, but one of .05 is not excluded
        (0.2, 9.0, "possible"),
    ],
)
def test_a_gain_is_clear_excluded_or_possible(
    mean: float, spread: float, finding: str
) -> None:
    assert find_gain(gains(mean, spread)) == finding


def test_ten_sets_that_all_gain_much_open_the_gate() -> None:
    # An auditor's case: t = 7.4 and skewness .2, which one rule had at p = .11.
    by_set = np.array([0.16, 0.2, 0.25, 0.28, 0.31, 0.34, 0.38, 0.42, 0.46, 0.6])
    values = np.broadcast_to(by_set[:, None], SHAPE)
    assert find_gain(Measurement(name="g", unit="", values=values)) == "clear"


def skewed(rng: np.random.Generator, n: int) -> Array:
    """Draw values of mean 0 and variance 1 with a long tail below."""
    drawn = rng.exponential(size=(n, 10, 1)) - 1
    return np.asarray(-(drawn + 0.3 * rng.normal(size=(n, *SHAPE))))


@pytest.mark.parametrize("size", [0.2, 1.0, 4.0])
def test_a_gain_of_four_errors_is_hardly_ever_dismissed(size: float) -> None:
    values = skewed(np.random.default_rng(0), 2000)
    error = float(values.mean(axis=(1, 2)).std())
    gain = size * LEAST_GAIN
    _, excluded = gain_flags(gain * (values / (4 * error) + 1))
    assert excluded.mean() <= 0.01


def test_no_gain_rarely_passes() -> None:
    clear, _ = gain_flags(skewed(np.random.default_rng(1), 2000))
    assert clear.mean() <= 0.065


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), mean=st.floats(-0.2, 0.2))
def test_no_gain_is_both_clear_and_excluded(seed: int, mean: float) -> None:
    clear, excluded = gain_flags(gains(mean, 0.5, seed=seed).values)
    assert not (clear and excluded)


@pytest.mark.parametrize(
    ("mean", "spread", "verdict", "words"),
    [
        (-0.01, 0.1, "not_applicable", "ICL gains nothing .* a gain of 0.05 is excl"),
        (0.02, 2.0, "inconclusive", "not clear whether there is a gain .* --sets 20"),
    ],
)
def test_a_shut_gate_tells_the_numbers(
    mean: float, spread: float, verdict: str, words: str
) -> None:
    judge = Judge(CLAIM, CELL)
    with pytest.raises(Undecided, match=words):
        judge.requires(gains(mean, spread), otherwise="ICL gains nothing")
    assert judge.judgement is not None
    assert judge.judgement.verdict == verdict
    assert judge.judgement.effect.low is not None


def test_a_gain_known_up_to_bounds_is_excluded_only_at_its_upper_one() -> None:
    exact = gains(-0.01, 0.1)
    judge = Judge(CLAIM, CELL)
    loose = Measurement(
        name="g", unit="", values=exact.values,
        least=exact.values - 0.01, most=exact.values + 0.5,
    )  # fmt: skip
    with pytest.raises(Undecided, match="not clear whether"):
        judge.requires(loose, otherwise="ICL gains nothing")


def test_too_few_queries_exclude_nothing() -> None:
    judge = Judge(CLAIM, CELL)
    few = Measurement(name="g", unit="", values=gains(-0.1, 0.01).values[:, :20])
    with pytest.raises(Undecided, match="no gain is measured .* pass --queries 30"):
        judge.requires(few, otherwise="ICL gains nothing")
    assert judge.judgement is not None
    assert judge.judgement.verdict == "inconclusive"
