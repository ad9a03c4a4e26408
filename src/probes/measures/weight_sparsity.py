"""How sparse the attention weights are, and how far they have drifted.

Nothing is sampled here: the axis of demonstration sets holds layers, that of queries
holds matrices. An interval then says how much layers and matrices differ. It is not a
sampling error, and it says nothing of weights trained from other seeds.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.observations.observation import Observation

FACTORS, PRODUCTS = slice(0, 3), slice(3, 5)  # W_Q, W_K, W_V; W_KᵀW_Q, P W_V


def sparsity(weights: Observation, *, below: float = 1e-2) -> Measurement:
    """Measure the share of entries of W_Q, W_K and W_V with |w| < δ.

    Args:
        weights: The observation of ``learners.weight_statistics``.
        below: δ, one of the thresholds in the observation.

    Returns:
        A fraction, shape (n_layers, 3). It depends on the weights' scale and basis: a
        Gaussian of σ = .0225 has .343 below .01 (see :func:`gaussian_sparsity`).

    Raises:
        ShapeError: The observation has no such threshold.

    Reference:
        Shen et al. 2024, arXiv:2310.08540, "sparsity".
    """
    return _fraction(f"share of weights below {below:g}", _shares(weights, below))


def sparsities(weights: Observation) -> list[Measurement]:
    """Measure :func:`sparsity` below every threshold of the observation."""
    return [sparsity(weights, below=below) for below in weights.facts["thresholds"]]


def layer_sparsity(weights: Observation, *, below: float = 1e-2) -> dict[str, Any]:
    """Put the sparsity of each layer's W_Q, W_K and W_V into plain values, for a row.

    Args:
        weights: The observation of ``learners.weight_statistics``.
        below: δ, one of the thresholds in the observation.

    Returns:
        ``below``; ``shares``, the fraction of entries with |w| < δ, and ``hoyer``, each
        by matrix: a list of layers, to four digits.

    Raises:
        ShapeError: The observation has no such threshold.

    Reference:
        Shen et al. 2024, Figure 1, which draws the shares of each layer.
    """
    names = weights.facts["matrices"][FACTORS]
    by_part = {"shares": _shares(weights, below), "hoyer": hoyer(weights).values}
    return {
        "below": below,
        **{
            part: {
                name: [float(f"{value:.4g}") for value in column]
                for name, column in zip(names, values.T, strict=True)
            }
            for part, values in by_part.items()
        },
    }


def product_sparsity(weights: Observation, *, below: float = 1e-2) -> Measurement:
    """Measure the share of entries of W_KᵀW_Q and P W_V, by head, with |w| < δ.

    Raises:
        ShapeError: The observation has no such threshold.
    """
    shares = _shares(weights, below, PRODUCTS)
    return _fraction(f"share of products' entries below {below:g}", shares)


def gaussian_sparsity(weights: Observation, *, below: float = 1e-2) -> Measurement:
    """Compute the share below δ of Gaussian matrices of the same root mean squares."""
    sizes = np.maximum(weights["sizes"][:, FACTORS], 1e-300)
    shares = np.vectorize(math.erf)(below / (math.sqrt(2) * sizes))
    return _fraction(f"share of a Gaussian of the same scale below {below:g}", shares)


def constructed_sparsity(weights: Observation) -> Measurement:
    """Compute the share of zeros in the GD construction of the same width.

    Tokens are (x, y), each half of the width, W_Q = W_K = [[I, 0], [0, 0]] and W_V =
    [[0, 0], [W_0, −I]] with a dense W_0.

    Reference:
        von Oswald et al. 2022, arXiv:2212.07677, Proposition 1.
    """
    width = int(weights.facts["d_model"])
    half = width / 2
    filled = np.array([half, half, half**2 + half]) / width**2
    return _fraction(
        "share of zeros in a construction", np.tile(1 - filled, (_n_layers(weights), 1))
    )


def hoyer(weights: Observation) -> Measurement:
    """Measure Hoyer's sparsity of W_Q, W_K and W_V.

    Returns:
        (√n − ‖w‖₁/‖w‖₂) / (√n − 1), shape (n_layers, 3): 0 for entries of one size, 1
        for a single entry, .202 for a large Gaussian matrix of any scale.

    Reference:
        Hoyer 2004, *J. Mach. Learn. Res.* 5:1457.
    """
    return Measurement(
        name="Hoyer's sparsity",
        values=weights["hoyer"][:, FACTORS],
        unit="fraction",
        zero="entries of one size",
        one="a single entry",
    )


def gaussian_hoyer(weights: Observation) -> Measurement:
    """Give Hoyer's sparsity of large Gaussian matrices of any scale, 1 − √(2/π)."""
    shape = (_n_layers(weights), FACTORS.stop)
    gaussian = hoyer(weights)
    return replace(gaussian, values=np.full(shape, 1 - math.sqrt(2 / math.pi)))


def participating(weights: Observation) -> Measurement:
    """Measure the participation ratio of W_Q, W_K and W_V.

    Returns:
        A share of all entries, shape (n_layers, 3); 1 for entries of one size, ⅓ for a
        Gaussian.
    """
    return Measurement(
        name="participation ratio",
        values=weights["participation"][:, FACTORS],
        unit="fraction",
        one="entries of one size",
    )


def weight_drift(drifted: Observation) -> Measurement:
    """Measure ‖Θ − Θ'‖ / ‖Θ'‖ of all parameters: one number for a pair of models.

    Returns:
        Shape (1, 1), relative to the earlier weights Θ'; 0 means the same weights.
    """
    return Measurement(
        name="relative distance of parameters",
        values=drifted["drift"],
        unit="fraction",
        zero="the same weights",
    )


def _shares(weights: Observation, below: float, which: slice = FACTORS) -> Array:
    thresholds = list(weights.facts["thresholds"])
    if below not in thresholds:
        raise ShapeError(
            f"The share of weights below {below:g} was not read. Expected one of "
            f"{thresholds}. Pass below= one of these."
        )
    return np.asarray(weights["shares"][:, which, thresholds.index(below)])


def _n_layers(weights: Observation) -> int:
    return int(weights["shares"].shape[0])


def _fraction(name: str, values: Array) -> Measurement:
    return Measurement(
        name=name, values=values, unit="fraction", zero="none", one="all"
    )
