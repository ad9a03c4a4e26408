"""The mixture of algorithms that comes nearest to ICL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from probes.errors import OptionError
from probes.learners.in_context import InContext, regression_observation
from probes.measurement import Array
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import Learner, LearnerContext

MOST = 8
"""Algorithms at most: every set of them is tried, 255 of 8."""


@dataclass(frozen=True, kw_only=True)
class AlgorithmMixture:
    """Predict Σ_a w_a ŷ_a, with weights of at least 0 that sum to 1.

    The weights are those with the least mean square distance to ICL's predictions on
    calibration tasks, which no verdict sees. ``facts["weights"]`` has them by the
    algorithm's name. If two algorithms predict the same, their weights share in no
    particular way.

    Attributes:
        of: The algorithms, each with its name.

    Raises:
        OptionError: There is none, or there are more than ``MOST``.

    Reference:
        Wurgaft et al. 2025, arXiv:2506.17859, who mix two predictors, and Raventós et
        al. 2023, arXiv:2306.15063, who compare them.
    """

    of: tuple[tuple[str, Learner], ...]
    needs_model: bool = True

    def __post_init__(self) -> None:
        if not 1 <= len(self.of) <= MOST:
            raise OptionError(
                f"A mixture of {len(self.of)} algorithms was asked for. Expected 1 to "
                f"{MOST}. Change of=."
            )

    def observe(self, context: LearnerContext) -> Observation:
        """Weigh the algorithms on calibration tasks, and mix their predictions."""
        request = replace(context.request, queries="calibration", order=0, shown="all")
        target = context.answer(replace(request, learner=InContext())).predictions
        parts = [
            context.answer(replace(request, learner=one)).predictions.ravel()
            for _, one in self.of
        ]
        weights = simplex_weights(np.stack(parts, axis=1), target.ravel())
        answered = [context.observe(one) for _, one in self.of]

        def mixed(name: str) -> Array:
            arrays = zip(weights, answered, strict=True)
            return np.asarray(sum(weight * one[name] for weight, one in arrays))

        return regression_observation(
            context.request.regression_task(),
            mixed("predictions"),
            mixed("sensitivities"),
            weights={
                name: float(weight)
                for (name, _), weight in zip(self.of, weights, strict=True)
            },
        )


def simplex_weights(parts: Array, target: Array) -> Array:
    """Find the weights on the simplex whose mixture is nearest to a target.

    The nearest mixture lies inside one face of the simplex. There, only the sum
    constrains the weights, and they solve linear equations. So every face is tried.

    Args:
        parts: Predictions of the algorithms in columns, shape (n, n_algorithms).
        target: What the mixture should predict, shape (n,).

    Returns:
        Weights of at least 0 with sum 1, shape (n_algorithms,).
    """
    n_algorithms = parts.shape[1]
    gram, moment = parts.T @ parts, parts.T @ target
    best: Array = np.zeros(n_algorithms)
    least = np.inf
    for face in _faces(n_algorithms):
        weights = np.zeros(n_algorithms)
        weights[list(face)] = _on_face(gram, moment, list(face))
        if weights.min() < 0:
            continue
        loss = float(weights @ gram @ weights - 2 * weights @ moment)
        if loss < least:
            best, least = weights, loss
    return best


def _faces(n: int) -> Iterator[tuple[int, ...]]:
    """List every set of corners, the small ones first."""
    for size in range(1, n + 1):
        yield from combinations(range(n), size)


def _on_face(gram: Array, moment: Array, face: list[int]) -> Array:
    """Solve for weights with sum 1 by a Lagrange multiplier."""
    n = len(face)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = gram[np.ix_(face, face)]
    system[n, n] = 0.0
    right = np.append(moment[face], 1.0)
    return np.asarray(np.linalg.lstsq(system, right, rcond=None)[0][:n])
