"""How well a learner's probabilities of the labels tell how often it is right.

All measures read the probabilities among the labels. The confidence of an answer is
that of the likeliest label.
"""

from __future__ import annotations

import numpy as np

from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.observations.observation import Observation

BINS_OF_WIDTH = 10
"""Bins of confidence of equal width, for ECE."""
BINS_OF_NUMBER = 5
"""Bins of equal numbers of queries. Fewer queries in each bin make more noise: the
variance goes as one over their number."""
LEAST_IN_BIN = 4
"""Queries in a bin of equal numbers, at least, where there are as many."""


def squared_calibration_error(ours: Observation) -> Measurement:
    """Measure how far confidence is from accuracy, squared, without bias.

    Each set's queries are sorted by confidence into bins of equal numbers. With
    e = confidence − 1 for a right answer and e = confidence for a wrong one, a query's
    value is e times the mean e of the other queries in its bin. Its mean estimates the
    square of the bin's mean confidence less its accuracy. Products of different queries
    have no bias, while ECE is above 0 for a calibrated learner too, the more so the
    fewer the queries.

    Returns:
        Shape (n_sets, n_queries); the mean over queries is 0 on average if the learner
        is calibrated, and comparable with ECE². It may be below 0.

    Raises:
        ShapeError: There is only one query.

    Reference:
        Bröcker 2012, doi:10.1007/s00382-011-1191-1, and Kumar et al. 2019,
        arXiv:1909.10155, remove the bias by an estimate of the variance; the product of
        different queries is that of Widmann et al. 2019, arXiv:1910.11385.
    """
    error, confidence = _errors(ours)
    n = error.shape[1]
    if n < 2:
        raise ShapeError(
            "The calibration error of one query was measured. Expected at least 2, "
            "whose errors are multiplied. Pass --queries 10 or more."
        )
    places = np.arange(n) * max(1, min(BINS_OF_NUMBER, n // LEAST_IN_BIN)) // n
    bins = np.empty(error.shape, dtype=np.int64)
    order = np.argsort(confidence, axis=1, kind="stable")
    np.put_along_axis(bins, order, np.broadcast_to(places, bins.shape), axis=1)
    alike = bins[:, :, None] == bins[:, None]  # (n_sets, n_queries, n_queries)
    others = np.einsum("sij,sj->si", alike, error) - error
    return Measurement(
        name="squared calibration error",
        values=error * others / (np.count_nonzero(alike, axis=2) - 1),
        unit="probability²",
        zero="calibrated",
        chance=0.0,
    )


def expected_calibration_error(ours: Observation) -> Measurement:
    """Measure ECE: |confidence − accuracy| in bins of confidence, over the whole cell.

    It is biased upwards: a calibrated learner has E|X/n − p| in a bin of n answers, X
    binomial; .06 for n = 40 and p = .8.

    Returns:
        For each answer the gap of its bin, so that the mean is ECE; a probability.

    Reference:
        Guo et al. 2017, arXiv:1706.04599, eq. 3, with 10 bins of equal width.
    """
    error, confidence = _errors(ours)
    bins = np.minimum((confidence * BINS_OF_WIDTH).astype(np.int64), BINS_OF_WIDTH - 1)
    alike = bins.ravel() == np.arange(BINS_OF_WIDTH)[:, None]  # (bins, answers)
    gaps = np.abs(alike @ error.ravel()) / np.maximum(alike.sum(axis=1), 1)
    return Measurement(
        name="ECE, biased upwards",
        values=gaps[bins],
        unit="probability",
        zero="calibrated",
        one="always wrong and certain",
    )


def brier_score(ours: Observation) -> Measurement:
    """Measure Σ(p − 1[right])² over the labels; 0 is certain and right, 2 wrong.

    Reference:
        Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    log_probs = ours.label_log_probs
    is_gold = np.arange(log_probs.shape[-1]) == ours.gold[..., None]
    return Measurement(
        name="Brier score",
        values=((np.exp(log_probs) - is_gold) ** 2).sum(axis=-1),
        unit="probability²",
        zero="certain and right",
    )


def label_loss(ours: Observation) -> Measurement:
    """Measure −ln p of the right label among the labels (NLL), in nats."""
    log_probs = ours.label_log_probs
    right = np.take_along_axis(log_probs, ours.gold[..., None], axis=-1)
    return Measurement(
        name="negative log-likelihood of the label",
        values=-right[..., 0],
        unit="nats",
        zero="certain and right",
    )


def _errors(ours: Observation) -> tuple[Array, Array]:
    """Give confidence − 1[right], and confidence; each (n_sets, n_queries)."""
    confidence = np.exp(ours.label_log_probs.max(axis=-1))
    return np.asarray(confidence - ours.is_right), np.asarray(confidence)
