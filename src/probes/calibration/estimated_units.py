"""How often a verdict is wrong if its unit is estimated from the same answers.

A distance counts in units of the answers' root mean square, which is a random number
too. Teachers are linear functions, so some demonstration sets have larger answers than
others; few inputs make them differ more.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from probes.calibration.study import HOME, ErrorRates, count_errors
from probes.hashing import seed_of
from probes.measurement import Array
from probes.verdicts.decision import p_values
from probes.verdicts.thresholds import ALPHA

MARGIN = 0.05  # as in the claims on construction
TRUTHS = {"inside": 0.5, "at the margin": 1.0, "outside": 2.0}  # in margins
N_INPUTS = (10, 2)
OURS, KNOWN = "unit estimated", "unit taken as known"
"""The instrument's rule, and a mistake that the study must show."""
CHUNK = 500


def unit_error_rates(*, runs: int) -> Iterator[ErrorRates]:
    """Judge gaps that grow with the teacher, and gaps that do not."""
    for n_inputs in N_INPUTS:
        for follows in (True, False):
            how = "grow with the teacher" if follows else "are the same for all"
            name = f"gaps {how}, {n_inputs} inputs"
            rng = np.random.default_rng(seed_of("units", name))
            drawn = [
                _draw(rng, min(CHUNK, runs - start), n_inputs, follows)
                for start in range(0, runs, CHUNK)
            ]
            answers, gaps = (np.concatenate(part) for part in zip(*drawn, strict=True))
            yield from _judged(name, answers, gaps)


def _draw(
    rng: np.random.Generator, n: int, n_inputs: int, follows: bool
) -> tuple[Array, Array]:
    """Draw answers of mean square 1, and gaps of mean 1: (n, n_sets, n_queries)."""
    n_sets, n_queries = HOME
    teachers = rng.normal(size=(n, n_sets, n_inputs)) / np.sqrt(n_inputs)
    queries = rng.normal(size=(n, n_sets, n_queries, n_inputs))
    answers = np.einsum("nsi,nsqi->nsq", teachers, queries)
    others = rng.normal(size=teachers.shape) / np.sqrt(n_inputs)
    by = np.einsum("nsi,nsqi->nsq", teachers if follows else others, queries)
    noise = rng.normal(size=answers.shape)
    gaps = np.abs(by + noise) / np.sqrt(2)
    return answers, gaps / _mean_gap(n_inputs)


def _mean_gap(n_inputs: int) -> float:
    """Compute the mean of |N(0, v)|, v = (‖w‖² + 1) / 2 over teachers w."""
    rng = np.random.default_rng(0)
    squares = (rng.normal(size=(400_000, n_inputs)) ** 2).mean(axis=1)
    return float(np.sqrt(2 / np.pi) * np.sqrt((squares + 1) / 2).mean())


def _judged(name: str, answers: Array, gaps: Array) -> Iterator[ErrorRates]:
    mean_squares = (answers**2).mean(axis=(-2, -1), keepdims=True)
    unit = (1 + answers**2 / mean_squares) / 2
    for truth, margins in TRUTHS.items():
        values = margins * MARGIN * gaps / np.sqrt(mean_squares)
        for rule, known in ((OURS, unit), (KNOWN, None)):
            below, above = p_values(values, MARGIN, one_sided=True, unit=known)
            yield count_errors(
                f"units: {rule}", name, *HOME, truth,
                supported=below < ALPHA, refuted=(above < ALPHA) & (below >= ALPHA),
            )  # fmt: skip
