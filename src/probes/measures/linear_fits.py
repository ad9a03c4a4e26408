"""The linear function that best fits a learner's predictions.

w_A is the least-squares fit of A's predictions on the queries, one for each
demonstration set. If there are fewer queries than inputs, it is the fit of least norm.
Measurements have one column, because a fit uses all queries at once.
"""

from __future__ import annotations

import numpy as np

from probes.measurement import Array, Measurement
from probes.observations.observation import Observation, require_same_cells


def weight_distance(ours: Observation, theirs: Observation) -> Measurement:
    """Measure ‖w − w'‖² of the fits, over the number of inputs (ILWD).

    Returns:
        Shape (n_sets, 1), in units of the variance of a teacher's coordinate where
        teachers are drawn from N(0, I); 0 is agreement.

    Raises:
        ShapeError: The two did not answer the same queries.

    Reference:
        Akyürek et al. 2022, arXiv:2211.15661, ILWD. We divide by the number of inputs,
        as they do for SPD.
    """
    require_same_cells(ours, theirs)
    gap = fitted_weights(ours) - fitted_weights(theirs)
    return Measurement(
        name="weight difference of linear fits",
        values=(gap**2).mean(axis=-1, keepdims=True),
        unit="teacher variance",
        zero="the same linear function",
    )


def linearity(ours: Observation) -> Measurement:
    """Measure R² of the linear fit: how linear the learner is.

    Returns:
        Shape (n_sets, 1): 1 − Σ(ŷ − w·x)²/Σŷ²; 1 if all predictions are 0.

    Reference:
        Akyürek et al. 2022, arXiv:2211.15661, who report it with ILWD.
    """
    predictions = ours.predictions
    fitted = (ours["queries"] @ fitted_weights(ours)[..., None])[..., 0]
    rest = ((predictions - fitted) ** 2).sum(axis=-1, keepdims=True)
    size = (predictions**2).sum(axis=-1, keepdims=True)
    return Measurement(
        name="R² of the linear fit",
        values=1 - rest / np.where(size > 0, size, 1.0),
        unit="fraction",
        zero="no linear part",
        one="a linear function of the query",
    )


def fitted_weights(ours: Observation) -> Array:
    """Fit predictions by a linear function of the query: shape (n_sets, n_inputs)."""
    inverses = np.linalg.pinv(ours["queries"].astype(np.float64))  # (1 or n_sets, …)
    return np.asarray((inverses @ ours.predictions[..., None])[..., 0])
