"""How far apart two learners' distributions over next tokens are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from probes.measurement import Array, Measurement
from probes.measures.bounds import bound_divergence, bound_total_variation
from probes.observations.common_support import on_common_support
from probes.observations.observation import Observation, require_same_cells


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
    shared = on_common_support(ours, theirs)
    p, q = shared.log_probs
    found = _similarity(p, q, "vocabulary")
    return bound_divergence(found, shared)


def label_jensen_shannon(ours: Observation, theirs: Observation) -> Measurement:
    """Measure 1 − the Jensen–Shannon divergence in bits over the labels.

    On open tasks the two outcomes are a right answer and any other.

    Raises:
        ShapeError: The two did not answer the same queries.
    """
    require_same_cells(ours, theirs)
    p, q = ours.outcome_log_probs, theirs.outcome_log_probs
    return _similarity(p, q, _outcomes(ours))


def _outcomes(ours: Observation) -> str:
    return "labels" if ours.has_labels else "right answers and others"


def _similarity(p: Array, q: Array, over: str) -> Measurement:
    middle = np.logaddexp(p, q) - np.log(2)
    nats = (np.exp(p) * (p - middle) + np.exp(q) * (q - middle)).sum(-1) / 2
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
    shared = on_common_support(ours, theirs)
    p, q = map(np.exp, shared.log_probs)
    found = Measurement(
        name="total variation",
        values=np.abs(p - q).sum(-1) / 2,
        unit="probability",
        zero="the same distribution",
        one="disjoint distributions",
    )
    return bound_total_variation(found, shared)


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
