"""How similarly two learners change the activations of a text model.

All measures read the arrays of ``learners.activations``. Each value is the mean over
layers (and heads) for one demonstration set and query.
"""

from __future__ import annotations

import numpy as np

from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.observations.observation import Observation


def update_cosine(
    icl: Observation, learner: Observation, base: Observation
) -> Measurement:
    """Measure cos(h_ICL − h_ZS, h_FT − h_ZS) of self-attention's outputs.

    Returns:
        A cosine; also 0 if one of them changes nothing.

    Raises:
        ShapeError: The observations are of other queries or sizes.

    Reference:
        Dai et al. 2022, arXiv:2212.10559, eq. 15, "SimAOU", without normalisation.
    """
    h = _aligned("outputs", icl, learner, base)
    cosine = _cosine(h[0] - h[2], h[1] - h[2])
    return _similarity("SimAOU, un-normalised", cosine)


def normalised_update_cosine(
    icl: Observation, learner: Observation, base: Observation
) -> Measurement:
    """Measure SimAOU on outputs that are first scaled to length 1.

    The shared ĥ_ZS raises it: independent changes r of z score ¼ if ‖r‖² = 3‖z‖².

    Raises:
        ShapeError: The observations are of other queries or sizes.

    Reference:
        Dai et al. 2022, arXiv:2212.10559, eq. 15, as their code computes it.
    """
    h = [
        a / (np.linalg.norm(a, axis=-1, keepdims=True) + 1e-20)
        for a in _aligned("outputs", icl, learner, base)
    ]
    cosine = _cosine(h[0] - h[2], h[1] - h[2])
    return _similarity("SimAOU, normalised", cosine)


def attention_cosine(icl: Observation, learner: Observation) -> Measurement:
    """Measure cos(m_ICL, m_FT) of the last token's attention to the query.

    Raises:
        ShapeError: The observations are of other queries or sizes.

    Reference:
        Dai et al. 2022, arXiv:2212.10559, eq. 16, "SimAM": q·k before the softmax.
    """
    return _similarity("SimAM", _cosine(*_maps(icl, learner)))


def attention_change_cosine(
    icl: Observation, learner: Observation, base: Observation
) -> Measurement:
    """Measure cos(m_ICL − m_ZS, m_FT − m_ZS) of attention to the query.

    Raises:
        ShapeError: The observations are of other queries or sizes.

    Reference:
        Deutch et al. 2023, arXiv:2311.07772, "SimAM" with differences.
    """
    m = _maps(icl, learner, base)
    return _similarity("SimAM_Δ", _cosine(m[0] - m[2], m[1] - m[2]))


def attention_rank_correlation(icl: Observation, learner: Observation) -> Measurement:
    """Measure Kendall's τ between two weightings of the demonstrations.

    A demonstration's weight is the sum of its tokens' in a softmax over the tokens of
    all demonstrations.

    Returns:
        τ in [−1, 1]: pairs of demonstrations ranked alike minus those ranked
        oppositely, as a share of all pairs; equal weights count as neither.

    Raises:
        ShapeError: There are fewer than two demonstrations, or they differ.

    Reference:
        Dai et al. 2022, arXiv:2212.10559, §4.2, "Kendall".
    """
    a, b = (_demonstration_weights(o) for o in (icl, learner))
    if a.shape != b.shape or a.shape[-1] < 2:
        raise ShapeError(
            f"Demonstrations are weighted with shapes {a.shape} and {b.shape}. "
            f"Expected the same sets, queries and layers, and at least 2 "
            f"demonstrations. Pass --demos 2 or more."
        )
    first, second = np.triu_indices(a.shape[-1], k=1)
    signs = [np.sign(w[..., first] - w[..., second]) for w in (a, b)]
    return Measurement(
        name="Kendall's τ of attention to demonstrations",
        values=(signs[0] * signs[1]).mean(axis=(-2, -1)),
        unit="correlation",
        zero="unrelated rankings",
        one="the same ranking",
        chance=0.0,
    )


def activation_cosine(icl: Observation, learner: Observation) -> Measurement:
    """Measure cos(h_ICL, h_FT) of self-attention's outputs, nothing subtracted.

    Raises:
        ShapeError: The observations are of other queries or sizes.

    Reference:
        Mishra et al. 2025, arXiv:2509.22621, activation similarity. They also measure
        positions before the last.
    """
    cosine = _cosine(*_aligned("outputs", icl, learner))
    return _similarity("cosine of activations", cosine)


def activation_norm_ratio(icl: Observation, learner: Observation) -> Measurement:
    """Measure ln(‖h_FT‖ / ‖h_ICL‖) of self-attention's outputs.

    Raises:
        ShapeError: The observations are of other queries or sizes.
    """
    ours, theirs = (
        np.log(np.linalg.norm(a, axis=-1) + 1e-20)
        for a in _aligned("outputs", icl, learner)
    )
    return Measurement(
        name="logarithm of the ratio of activation norms",
        values=(theirs - ours).mean(axis=-1),
        unit="nats",
        zero="equally large",
    )


def _aligned(name: str, *observations: Observation) -> list[Array]:
    arrays = [o[name].astype(np.float64) for o in observations]
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1:
        raise ShapeError(
            f"The {name} have shapes {shapes}. Expected the same sets, queries, layers "
            f"and sizes. Compare observations of one cell and one architecture."
        )
    return arrays


def _maps(*observations: Observation) -> list[Array]:
    """Align maps on the right, where the query ends, and keep what all of them have."""
    width = min(o["maps"].shape[-1] for o in observations)
    lengths = np.min([o["query_lengths"] for o in observations], axis=0)
    kept = np.arange(width) >= width - lengths[..., None]  # (n_sets, n_queries, width)
    cut = [
        Observation(arrays={"maps": o["maps"][..., -width:] * kept[:, :, None, None]})
        for o in observations
    ]
    return _aligned("maps", *cut)


def _demonstration_weights(observation: Observation) -> Array:
    """Sum a softmax over tokens by demonstration: (n_sets, n_queries, n_layers, n)."""
    scores = observation["demonstration_scores"].astype(np.float64)
    owners = observation["owners"]  # (n_sets, n_tokens)
    scores = np.where(owners[:, None, None] < 0, -np.inf, scores)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    belongs = owners[..., None] == np.arange(owners.max() + 1)
    return np.asarray(np.einsum("sqlt,stn->sqln", weights, belongs.astype(float)))


def _cosine(a: Array, b: Array) -> Array:
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    cosine: Array = (a * b).sum(axis=-1) / np.where(norms > 0, norms, 1.0)
    return cosine


def _similarity(name: str, cosines: Array) -> Measurement:
    """Average over all axes after sets and queries."""
    return Measurement(
        name=name,
        values=cosines.reshape(*cosines.shape[:2], -1).mean(axis=-1),
        unit="cosine",
        zero="orthogonal",
        one="parallel",
        chance=0.0,
    )
