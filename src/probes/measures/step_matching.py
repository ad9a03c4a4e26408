"""The number of steps of an algorithm that each layer of a network matches best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.measures.prediction_distances import prediction_distance
from probes.observations.observation import Observation

RESAMPLES = 400
"""Draws of sets and queries: the ends of a 90 % interval then rest on 20 draws each."""
TAILS = (0.05, 0.95)
ROUNDING = 12
"""Digits after the point; steps past convergence differ by rounding only."""


@dataclass(frozen=True, kw_only=True)
class StepMatching:
    """How far each layer is from an algorithm after each number of steps.

    Attributes:
        steps: Numbers of steps.
        distances: Mean |ŷ_layer − ŷ_steps| over the root mean square of the answers,
            shape (n_layers, n_steps).
        best: The nearest number of steps, for each layer.
        low: Lower end of its 90 % interval.
        high: Upper end.
    """

    steps: tuple[int, ...]
    distances: Array
    best: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]

    def describe_best(self) -> str:
        """Write the nearest number of steps for each layer, with its interval."""
        return ", ".join(
            str(best) if low == high else f"{best} [{low}, {high}]"
            for best, low, high in zip(self.best, self.low, self.high, strict=True)
        )


def step_matching(layers: Sequence[Observation], run: Observation) -> StepMatching:
    """Find the number of steps of an algorithm that each layer is nearest to.

    The interval is a bootstrap over both sets and queries: which number of steps could
    have been nearest with other tasks and queries. The seed follows from the shape. If
    several numbers are equally near, the smallest counts.

    Args:
        layers: A network's predictions after each layer.
        run: One run of an algorithm, made by ``learners.AlgorithmTrajectory``.

    Raises:
        ShapeError: There is no layer, or the run answered other queries.

    Reference:
        Fu et al. 2023, arXiv:2310.17086, who match layers with steps by the cosine of
        errors. We use distances, and add intervals.
    """
    paths, answers = run["paths"].astype(np.float64), run["answers"]
    if not layers or any(o.predictions.shape != answers.shape for o in layers):
        raise ShapeError(
            f"Steps have answers of shape {answers.shape}, and layers have "
            f"shapes {[o.predictions.shape for o in layers]}. Expected at least one "
            f"layer, and the same sets and queries. Compare observations of one cell."
        )
    size = float(np.sqrt(np.mean(answers**2))) or 1.0
    predicted = np.stack([o.predictions for o in layers], axis=-1)
    gaps = np.abs(predicted[..., :, None] - paths[..., None, :]) / size
    counts = tuple(int(c) for c in run.facts["counts"])
    nearest = np.array(counts)[_resampled(gaps).argmin(axis=-1)]  # (n_draws, n_layers)
    ends = np.quantile(nearest, TAILS, axis=0, method="nearest").astype(int)
    distances = gaps.mean(axis=(0, 1)).round(ROUNDING)
    return StepMatching(
        steps=counts,
        distances=distances,
        best=tuple(counts[i] for i in distances.argmin(axis=-1)),
        low=tuple(ends[0].tolist()),
        high=tuple(ends[1].tolist()),
    )


def lead_of_equal_steps(
    layers: Sequence[Observation],
    equal: Sequence[Observation],
    doubling: Sequence[Observation],
) -> Measurement:
    """Measure how much nearer layers are to equal steps than to doubling ones.

    Args:
        layers: A network's predictions after each layer.
        equal: An algorithm after as many steps as layers, 1, 2, 3, …
        doubling: The algorithm after 1, 3, 7, … steps. Both end where the last layer
            does, each at a rate of its own.

    Returns:
        The mean over layers of |ŷ_layer − ŷ_doubling| − |ŷ_layer − ŷ_equal|, over the
        root mean square of the answers; above 0, depth grows linearly in steps, and
        below 0 exponentially.

    Raises:
        ShapeError: There is no layer or step, or they answered other queries.

    Reference:
        Fu et al. 2023, arXiv:2310.17086: layers advance linearly in Newton's steps and
        exponentially in GD's. After k steps Newton's iterate is a polynomial of degree
        2^k − 1 in XᵀX, as GD's is after as many steps; hence the doubling.
    """
    rows = list(zip(layers, equal, doubling, strict=False))
    if not rows:
        raise ShapeError(
            f"{len(layers)} layers were compared with {len(equal)} and {len(doubling)} "
            f"numbers of steps. Expected at least one of each. Pass observations."
        )
    leads = [
        prediction_distance(layer, double).minus(prediction_distance(layer, same))
        for layer, same, double in rows
    ]
    return replace(
        leads[0],
        name="lead of equal steps over doubling ones",
        values=np.mean([lead.values for lead in leads], axis=0),
        zero="as near to either",
    )


def _resampled(gaps: Array) -> Array:
    """Average over drawn sets and queries: (RESAMPLES, n_layers, n_steps)."""
    n_sets, n_queries, *sizes = gaps.shape
    rng = np.random.default_rng(gaps.shape)
    of_sets = rng.multinomial(n_sets, np.full(n_sets, 1 / n_sets), RESAMPLES)
    of_queries = rng.multinomial(
        n_queries, np.full(n_queries, 1 / n_queries), RESAMPLES
    )
    weights = (of_sets[:, :, None] * of_queries[:, None, :]) / (n_sets * n_queries)
    flat = gaps.reshape(n_sets * n_queries, -1)
    found: Array = weights.reshape(RESAMPLES, -1) @ flat
    return found.reshape(RESAMPLES, *sizes).round(ROUNDING)


def matching_remark(matchings: Mapping[str, StepMatching]) -> str:
    """Write the nearest number of steps for each layer, by algorithm."""
    return "nearest number of steps for each layer: " + "; ".join(
        f"{name} {matching.describe_best()}" for name, matching in matchings.items()
    )


def matching_details(matchings: Mapping[str, StepMatching]) -> dict[str, Any]:
    """Put matchings with several algorithms into plain values, for a row.

    Args:
        matchings: By algorithm, all for the same layers and numbers of steps.

    Returns:
        ``steps``, ``layers``, and by algorithm: ``algorithms`` (distances, a list of
        steps for each layer) and ``best`` (the nearest number of steps with its
        interval, for each layer).
    """
    first = next(iter(matchings.values()))
    return {
        "unit": "answer size",
        "steps": list(first.steps),
        "layers": [k + 1 for k in range(len(first.best))],
        "algorithms": {
            name: [[float(f"{d:.4g}") for d in row] for row in matching.distances]
            for name, matching in matchings.items()
        },
        "best": {
            name: [
                {"steps": best, "low": low, "high": high}
                for best, low, high in zip(m.best, m.low, m.high, strict=True)
            ]
            for name, m in matchings.items()
        },
    }
