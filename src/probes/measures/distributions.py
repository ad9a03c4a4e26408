"""How far apart two learners' distributions over next tokens are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from probes.measurement import Array, Measurement
from probes.measures.bounds import measure_sum
from probes.observations.observation import Observation, require_same_cells
from probes.observations.token_sums import sum_over_tokens


def jensen_shannon(ours: Observation, theirs: Observation) -> Measurement:
    """Measure 1 − the Jensen–Shannon divergence in bits over the vocabulary.

    Returns:
        A similarity in [0, 1]: 1 for equal distributions, 0 for disjoint ones. It has
        bounds if only part of the answers is kept.

    Raises:
        ShapeError: The two did not answer the same queries.

    Reference:
        Lin 1991, doi:10.1109/18.61115, with two equal weights.
    """
    summed = sum_over_tokens(_shares_of_divergence, ours, theirs)
    return measure_sum(lambda nats: _similarity(nats, "vocabulary"), summed)


def label_jensen_shannon(ours: Observation, theirs: Observation) -> Measurement:
    """Measure 1 − the Jensen–Shannon divergence in bits over the labels.

    On open tasks the two outcomes are a right answer and any other.

    Raises:
        ShapeError: The two did not answer the same queries.
    """
    require_same_cells(ours, theirs)
    outcomes = [ours.outcome_log_probs, theirs.outcome_log_probs]
    return _similarity(_shares_of_divergence(outcomes).sum(-1), _outcomes(ours))


def _outcomes(ours: Observation) -> str:
    return "labels" if ours.has_labels else "right answers and others"


def _shares_of_divergence(log_probs: Sequence[Array]) -> Array:
    """Give each token's share of the divergence, in nats."""
    p, q = log_probs
    middle = np.logaddexp(p, q) - np.log(2)
    return np.asarray((np.exp(p) * (p - middle) + np.exp(q) * (q - middle)) / 2)


def _similarity(nats: Array, over: str) -> Measurement:
    return Measurement(
        name=f"1 − Jensen–Shannon divergence, {over}",
        values=1 - np.clip(nats / np.log(2), 0.0, 1.0),
        unit="similarity",
        zero="disjoint distributions",
        one="the same distribution",
    )


def label_total_variation(ours: Observation, theirs: Observation) -> Measurement:
    """Measure the total variation distance ½Σ|p − q| over the labels, in [0, 1].

    On open tasks the two outcomes are a right answer and any other.

    Raises:
        ShapeError: The two did not answer the same queries.
    """
    require_same_cells(ours, theirs)
    gap = np.abs(np.exp(ours.outcome_log_probs) - np.exp(theirs.outcome_log_probs))
    return Measurement(
        name=f"total variation, {_outcomes(ours)}",
        values=gap.sum(-1) / 2,
        unit="probability",
        zero="the same distribution",
        one="disjoint distributions",
    )


def total_variation(ours: Observation, theirs: Observation) -> Measurement:
    """Measure the total variation distance ½Σ|p − q| over the vocabulary, in [0, 1].

    Returns:
        0 for equal distributions, 1 for disjoint ones. It has bounds if only part of
        the answers is kept.

    Raises:
        ShapeError: The two did not answer the same queries.
    """

    def named(values: Array) -> Measurement:
        return Measurement(
            name="total variation",
            values=values,
            unit="probability",
            zero="the same distribution",
            one="disjoint distributions",
        )

    return measure_sum(named, sum_over_tokens(_halved_differences, ours, theirs))


def _halved_differences(log_probs: Sequence[Array]) -> Array:
    """Give each token's share of the distance."""
    p, q = map(np.exp, log_probs)
    return np.asarray(np.abs(p - q) / 2)


def distance_reduction(
    before: Observation, after: Observation, target: Observation
) -> Measurement:
    """Measure by how much an answer comes nearer to a target, in total variation.

    A mixture of answers is nearer to every target than they are on average, because the
    distance is convex. Only a difference of two such reductions is evidence.

    Args:
        before: The answer before the change.
        after: The answer after it.
        target: The answer to which the distances are measured.

    Returns:
        ½Σ|p − t| − ½Σ|q − t| over the vocabulary, in [−1, 1]; above 0 is nearer.

    Raises:
        ShapeError: They did not answer the same queries.
    """
    gain = total_variation(before, target).minus(total_variation(after, target))
    return replace(gain, name="nearer in total variation", zero="no nearer")
