"""How far two learners of a regression task are apart."""

from __future__ import annotations

import numpy as np

from probes.measurement import Array, Measurement
from probes.observations.observation import Observation, require_same_cells


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
    """Measure ‖∂ŷ/∂x − ∂ŷ'/∂x‖₂ relative to the mean norm of the second's.

    Raises:
        ShapeError: The two did not answer the same queries.

    Reference:
        von Oswald et al. 2022, arXiv:2212.07677, "model diff", there in raw units.
    """
    require_same_cells(ours, theirs)
    norms = np.linalg.norm(theirs.sensitivities, axis=-1)
    scale = float(norms.mean()) or 1.0
    gap = np.linalg.norm(ours.sensitivities - theirs.sensitivities, axis=-1)
    return Measurement(
        name="sensitivity distance",
        values=gap / scale,
        unit="sensitivity size",
        zero="the same sensitivities",
        unit_values=norms / scale if norms.any() else None,
    )


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
