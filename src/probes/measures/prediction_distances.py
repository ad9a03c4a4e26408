"""How far two learners of a regression task are apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from probes.measurement import Array, Measurement
from probes.observations.observation import Observation, require_same_cells

DIVERGED = 1e3
"""The largest prediction that counts in a loss, in answer sizes. What diverges is wrong
everywhere, and it does not matter how far."""


def prediction_distance(ours: Observation, theirs: Observation) -> Measurement:
    """Measure |ŷ − ŷ'| for each query.

    Returns:
        In units of the root mean square of the teacher's answers in the cell, so that
        tolerances and margins do not depend on the scale of the data; 0 is agreement.

    Raises:
        ShapeError: The two did not answer the same queries.

    Reference:
        von Oswald et al. 2022, arXiv:2212.07677, "preds diff", there an L2 norm in raw
        units; the scale is our departure.
    """
    require_same_cells(ours, theirs)
    gap = np.abs(ours.predictions - theirs.predictions)
    return Measurement(
        name="prediction distance",
        values=gap / answer_size(ours),
        unit="answer size",
        zero="the same predictions",
        unit_values=parts_of_answer_size(ours),
    )


def squared_distance(ours: Observation, theirs: Observation) -> Measurement:
    """Measure (ŷ − ŷ')², in units of the mean square of the answers (SPD).

    Raises:
        ShapeError: The two did not answer the same queries.

    Reference:
        Akyürek et al. 2022, arXiv:2211.15661, SPD, there divided by d instead.
    """
    require_same_cells(ours, theirs)
    gap = ours.predictions - theirs.predictions
    return Measurement(
        name="squared prediction difference",
        values=(gap / answer_size(ours)) ** 2,
        unit="answer variance",
        zero="the same predictions",
        unit_values=_parts_of_answer_variance(ours),
    )


def sensitivity_cosine(ours: Observation, theirs: Observation) -> Measurement:
    """Measure the cosine of ∂ŷ/∂x of two learners.

    Returns:
        In [−1, 1]. It is 1 if both sensitivities are 0, and 0 if only one of them is.

    Raises:
        ShapeError: The two did not answer the same queries.

    Reference:
        von Oswald et al. 2022, arXiv:2212.07677, "model cos".
    """
    require_same_cells(ours, theirs)
    a, b = ours.sensitivities, theirs.sensitivities
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    both_zero = ~a.any(axis=-1) & ~b.any(axis=-1)
    cosine = (a * b).sum(-1) / np.where(norms > 0, norms, 1.0)
    return Measurement(
        name="cosine of sensitivities",
        values=np.clip(np.where(both_zero, 1.0, cosine), -1.0, 1.0),
        unit="cosine",
        zero="orthogonal",
        one="parallel",
        chance=0.0,
    )


def sensitivity_distance(ours: Observation, theirs: Observation) -> Measurement:
    """Measure ‖∂ŷ/∂x − ∂ŷ'/∂x‖₂ in units of a teacher's standard deviation.

    Returns:
        In the paper's unit, where teachers are drawn from N(0, I): the root mean square
        of the answers over that of the queries' norms, so that a larger teacher does
        not count as a larger distance. 0 is agreement.

    Raises:
        ShapeError: The two did not answer the same queries.

    Reference:
        von Oswald et al. 2022, arXiv:2212.07677, "model diff", there in raw units for
        teachers from N(0, I); the scale for other teachers is ours.
    """
    require_same_cells(ours, theirs)
    gap = np.linalg.norm(ours.sensitivities - theirs.sensitivities, axis=-1)
    squares = (ours["queries"].astype(np.float64) ** 2).sum(axis=-1)
    teacher = answer_size(ours) / (float(np.sqrt(squares.mean())) or 1.0)
    return Measurement(
        name="sensitivity distance",
        values=gap / teacher,
        unit="teacher deviation",
        zero="the same sensitivities",
        unit_values=parts_of_answer_size(ours),
    )


def squared_error(ours: Observation) -> Measurement:
    """Measure (ŷ − y)² in units of the mean square of the teacher's answers.

    Returns:
        0 is without error; 1 is as wrong as the answer 0. Predictions beyond
        ``DIVERGED`` count as that far.

    Reference:
        von Oswald et al. 2022, arXiv:2212.07677, whose loss is half of it, raw.
    """
    return Measurement(
        name="squared error",
        values=_squared_errors(ours),
        unit="answer variance",
        zero="without error",
        one="as wrong as the answer 0",
        unit_values=_parts_of_answer_variance(ours),
    )


def loss_excess(ours: Observation, theirs: Observation) -> Measurement:
    """Measure (ŷ − y)² − (ŷ' − y)², over the mean of the second.

    Returns:
        0 where losses coincide; .1 is a loss that is a tenth larger. Predictions beyond
        ``DIVERGED`` count as that far, so two that diverge have the same loss.

    Raises:
        ShapeError: The two did not answer the same queries.
    """
    require_same_cells(ours, theirs)
    own, other = _squared_errors(ours), _squared_errors(theirs)
    scale = float(other.mean()) or 1.0
    return Measurement(
        name="excess loss",
        values=(own - other) / scale,
        unit="GD's loss",
        zero="the same loss",
        unit_values=other / scale if other.any() else None,
    )


def _squared_errors(ours: Observation) -> Array:
    size = answer_size(ours)
    kept = np.clip(ours.predictions / size, -DIVERGED, DIVERGED)
    return np.asarray((kept - ours["answers"] / size) ** 2)


def loss_gaps_both_ways(
    ours: Mapping[str, Observation], theirs: Mapping[str, Observation]
) -> list[Measurement]:
    """Measure excess losses at several points, each with either sign.

    All are small only if the losses agree at every point.
    """
    gaps = [loss_excess(ours[point], theirs[point]) for point in ours]
    return [*gaps, *(replace(gap, values=-gap.values) for gap in gaps)]


def worst_disagreement(hunted: Observation) -> Measurement:
    """Measure |ŷ − ŷ'| on the worst task found (see ``learners.worst_case``).

    Returns:
        Relative to the largest of 1, the predictions and the answers.
    """
    size = max(1.0, *(float(np.abs(hunted[k]).max()) for k in ("theirs", "answers")))
    return Measurement(
        name="disagreement on the worst task found",
        values=np.abs(hunted["ours"] - hunted["theirs"]) / size,
        unit="answer size",
        zero="the same predictions",
    )


def explained_share(ours: Observation) -> Measurement:
    """Measure how much smaller the error is than that of the answer 0: y² − (ŷ − y)².

    Returns:
        In units of the mean square of the teacher's answers in the cell: 0 is as
        wrong as the answer 0, 1 is without error, and below 0 is worse.
    """
    errors = (ours.predictions - ours["answers"]) ** 2
    return Measurement(
        name="explained share of the answers",
        values=(ours["answers"] ** 2 - errors) / answer_size(ours) ** 2,
        unit="answer variance",
        zero="as wrong as the answer 0",
        one="without error",
        unit_values=_parts_of_answer_variance(ours),
    )


def answer_size(ours: Observation) -> float:
    """Compute the root mean square of the teacher's answers; 1 if all are 0."""
    return float(np.sqrt(np.mean(ours["answers"] ** 2))) or 1.0


def parts_of_answer_size(ours: Observation) -> Array | None:
    """Give what each answer adds to the estimated size, in its unit: mean 1.

    √m is linear in the mean square m near the estimate: its parts are ½ (1 + y²/m).
    """
    parts = _parts_of_answer_variance(ours)
    return None if parts is None else (1.0 + parts) / 2


def _parts_of_answer_variance(ours: Observation) -> Array | None:
    squares = ours["answers"].astype(np.float64) ** 2
    return squares / squares.mean() if squares.any() else None
