"""Whether ICL corrects the answers that another learner corrects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probes.errors import ShapeError
from probes.measurement import Measurement
from probes.observations.observation import Observation, require_same_cells

Mask = NDArray[np.bool_]


def corrected(learner: Observation, base: Observation) -> Measurement:
    """Measure how often a learner is right where the model alone is wrong.

    Raises:
        ShapeError: The two did not answer the same queries.
    """
    require_same_cells(learner, base)
    return Measurement(
        name="answers corrected",
        values=(~_right(base) & _right(learner)).astype(np.float64),
        unit="fraction",
        zero="no wrong answer corrected",
        one="every answer was wrong and is right",
    )


def coverage(icl: Observation, learner: Observation, base: Observation) -> Measurement:
    """Measure the share of a learner's corrections that ICL makes too (Rec2FTP).

    Returns:
        A fraction of the queries that the model alone answers wrongly and the learner
        rightly. The mean is exactly that ratio of counts. Single values are the ratio's
        linear approximation, so that the interval includes the denominator's error.

    Raises:
        ShapeError: They did not answer the same queries, or the learner corrects none.

    Reference:
        Dai et al. 2022, arXiv:2212.10559, §4.2, "Rec2FTP", there in percent.
    """
    require_same_cells(icl, learner, base)
    return _ratio("Rec2FTP", _right(icl), ~_right(base) & _right(learner))


def coverage_elsewhere(
    icl: Observation, learner: Observation, base: Observation
) -> Measurement:
    """Measure how often ICL is right where the learner corrects nothing: a base rate.

    Returns:
        A fraction of the queries that both the model alone and the learner answer
        wrongly, made as in :func:`coverage`.

    Raises:
        ShapeError: They did not answer the same queries, or there is no such query.
    """
    require_same_cells(icl, learner, base)
    return _ratio("Rec2FTP", _right(icl), ~_right(base) & ~_right(learner))


def corrections_apart(
    icl: Observation, learner: Observation, base: Observation
) -> Measurement:
    """Measure the share of corrected answers that only one of two learners corrects.

    It is the Jaccard distance between what ICL and the learner correct. Where it is 0,
    Rec2FTP is 1. A learner that corrects nothing is as far away as can be.

    Returns:
        For each set, values whose mean over queries is a fraction of the answers that
        either of the two corrects; 0 if neither corrects any.

    Raises:
        ShapeError: They did not answer the same queries.
    """
    require_same_cells(icl, learner, base)
    ours, theirs = (~_right(base) & _right(one) for one in (icl, learner))
    either = (ours | theirs).mean(axis=1, keepdims=True)
    return Measurement(
        name="corrections apart",
        values=(ours != theirs) / np.where(either > 0, either, 1.0),
        unit="fraction",
        zero="both correct the same answers",
        one="no answer is corrected by both",
    )


def _right(answered: Observation) -> Mask:
    return answered.is_right.astype(bool)


def _ratio(name: str, counted: Mask, among: Mask) -> Measurement:
    if not among.any():
        raise ShapeError(
            f"{name} has 0 queries among {among.size} to count. Expected at least one "
            f"where the model alone is wrong and the learner right (for the base rate: "
            f"wrong). Pass more --queries, or a learner that learns."
        )
    inside = among.astype(np.float64)
    hits = inside * counted
    ratio = hits.sum() / inside.sum()
    return Measurement(
        name=name,
        values=ratio + (hits - ratio * inside) / inside.mean(),
        unit="fraction",
        zero="ICL is right nowhere there",
        one="ICL is right everywhere there",
    )
