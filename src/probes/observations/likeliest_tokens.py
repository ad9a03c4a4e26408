"""The likeliest tokens of an answer, and those that two answers share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.errors import ShapeError
from probes.measurement import Array
from probes.observations.observation import Observation
from probes.observations.truncation import N_EXACT


def likeliest(answered: Observation, k: int) -> tuple[NDArray[Any], Array]:
    """List the k likeliest tokens, likeliest first; of equals, lower ids first.

    Returns:
        Tokens and log-probabilities, both (n_sets, n_queries, k).

    Raises:
        ShapeError: The answers are truncated, and fewer than k are known for certain.
    """
    if answered.is_whole:
        stored = answered["log_probs"]
        ranked = np.argsort(-stored, axis=-1, kind="stable")[..., :k]
        return ranked, np.take_along_axis(stored, ranked, axis=-1).astype(np.float64)
    if answered.parts or k > N_EXACT:
        raise ShapeError(
            f"The {k} likeliest tokens are not known for certain: the answers keep "
            f"{N_EXACT} exactly. Expected a smaller k, and no average of truncated "
            f"answers. Lower k."
        )
    stored = answered["exact_log_probs"].astype(np.float64)
    ranked = np.argsort(-stored, axis=-1, kind="stable")[..., :k]
    log_probs = np.take_along_axis(stored, ranked, axis=-1)
    return np.take_along_axis(answered["exact_tokens"], ranked, axis=-1), log_probs


def paired(
    ours: tuple[NDArray[Any], Array], theirs: tuple[NDArray[Any], Array]
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Find our tokens among theirs, each a result of :func:`likeliest`.

    Returns:
        For each of our tokens our log-probability, theirs (−∞ where it is not among
        their tokens), and whether it is; all (n_sets, n_queries, k).
    """
    is_same = ours[0][..., :, None] == theirs[0][..., None, :]
    at_ours = np.where(is_same, theirs[1][..., None, :], -np.inf).max(axis=-1)
    return ours[1], at_ours, np.asarray(is_same.any(axis=-1))
