"""Whether predictions form a martingale, as those of a Bayesian reasoner do."""

from __future__ import annotations

import numpy as np

from probes.measurement import Measurement
from probes.observations.observation import Observation


def martingale_gap(imagined: Observation) -> Measurement:
    """Measure how far an imagined demonstration moves a learner's mean prediction.

    Whoever updates by Bayes' rule on exchangeable examples expects no change: over
    answers drawn from its own prediction, the mean of the next prediction is the one
    before. With dᵢ the change of the labels' probabilities by the i-th draw, the gap is
    the inner product of the means of d over two halves of the draws. That estimates the
    square of the expected change without bias.

    Args:
        imagined: Of ``learners.imagined_demonstration``.

    Returns:
        Shape (n_sets, n_queries), over the mean of ‖dᵢ‖²: 0 for a martingale, 1 if the
        change is the same whatever answer is drawn. ``unit_values`` hold each answer's
        own mean of ‖dᵢ‖².

    Reference:
        Falck et al. 2024, arXiv:2406.00793, test the same property on long paths that
        a model samples; here on paths of one demonstration.
    """
    change = imagined["after"] - imagined["before"][:, :, None]
    halves = change[:, :, ::2].mean(axis=2), change[:, :, 1::2].mean(axis=2)
    squares = (change**2).sum(axis=-1).mean(axis=2)
    unit = float(squares.mean()) or 1.0
    return Measurement(
        name="martingale gap",
        values=np.sum(halves[0] * halves[1], axis=-1) / unit,
        unit="squared effect of a demonstration",
        zero="a martingale",
        one="the same change whatever is imagined",
        unit_values=squares / unit,
    )
