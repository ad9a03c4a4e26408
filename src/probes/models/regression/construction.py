"""Weights written by hand: linear self-attention that is GD, GD++ or Newton's method.

Row-vector convention: a token e is a row and a layer maps
``e_j ← e_j (I + L) + Σᵢ ⟨e_j W_Q, e_i W_K⟩ e_i W_V P``, the sum over demonstrations.

- GD (von Oswald et al. 2212.07677, Proposition 1): e = (x, y), the query's is
  (x, −W_0 x), and c = η/N; the y slot of the query moves by c Σᵢ (yᵢ − W_0 xᵢ) ⟨xᵢ, x⟩
  up to sign.
- Preconditioned GD (Ahn et al. 2306.00297): W_K also multiplies the inputs by a
  diagonal matrix A, so that ⟨xᵢ, x⟩ becomes xᵢᵀA x.
- GD++ (von Oswald et al., §3): W_V also maps x to γ x, so that x ← (I − γ XXᵀ) x each
  layer.
- Newton (iteration M ← 2M − M S M as in Fu et al. 2310.17086, S = Σ xᵢxᵢᵀ): e =
  (x, y, m, ŷ) with m_j = M x_j. One layer writes M_0 = αS, each further one is a Newton
  step (key x, query m, value −m, and L copies m once more); the last reads
  ŷ = Σ yᵢ⟨xᵢ, m⟩.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from probes.cards import Construction
from probes.measurement import Array


@dataclass(frozen=True, kw_only=True)
class LayerWeights:
    """One layer of linear self-attention; every matrix has shape (d_token, d_token)."""

    W_Q: Array
    W_K: Array
    W_V: Array
    P: Array
    skip: Array


@dataclass(frozen=True, kw_only=True)
class NetworkWeights:
    """A stack of layers, and where a token holds input, answer and prediction.

    Attributes:
        layers: In the order in which they act.
        n_inputs: Dimension d of the inputs, which a token begins with; the answer
            follows.
        d_token: Length of a token.
        read: Index of the prediction in a token.
        sign: Sign of the prediction there: the GD construction carries −ŷ.
        start: W_0; a query starts with the answer −W_0 x. None is 0.
        n_reading: Number of last layers that only read the prediction. They also read
            it when fewer layers run.
    """

    layers: tuple[LayerWeights, ...]
    n_inputs: int
    d_token: int
    read: int
    sign: float
    start: Array | None = None
    n_reading: int = 0


def construct(spec: Construction) -> NetworkWeights:
    """Write the weights of a construction."""
    built = _newton(spec) if spec.algorithm == "newton" else _descent(spec)
    if spec.spoiled_by:
        spoiled = built.layers[0].W_V.copy()
        spoiled[0, spec.n_inputs] += spec.spoiled_by  # x_1 leaks into the answer's slot
        first = built.layers[0]
        layer = replace(first, W_V=spoiled)
        return replace(built, layers=(layer, *built.layers[1:]))
    return built


def _descent(spec: Construction) -> NetworkWeights:
    d, size = spec.n_inputs, spec.n_inputs + 1
    inputs = np.diag([1.0] * d + [0.0])
    start = np.array(spec.start) if spec.start else None
    values = np.diag([-spec.shrinkage] * d + [-spec.rate])
    if start is not None:
        values[:d, d] = spec.rate * start
    keys = np.diag([*(spec.preconditioner or [1.0] * d), 0.0])
    layer = LayerWeights(
        W_Q=inputs, W_K=keys, W_V=values, P=np.eye(size), skip=np.zeros((size, size))
    )
    return NetworkWeights(
        layers=(layer,) * spec.n_layers,
        n_inputs=d,
        d_token=size,
        read=d,
        sign=-1.0,
        start=start,
    )


def _newton(spec: Construction) -> NetworkWeights:
    d = spec.n_inputs
    size = 2 * d + 2
    x, m = slice(0, d), slice(d + 1, 2 * d + 1)

    def moving(source: slice, target: slice, scale: float) -> Array:
        matrix = np.zeros((size, size))
        matrix[source, target] = scale * np.eye(source.stop - source.start)
        return matrix

    keep = moving(x, x, 1.0)
    none = np.zeros((size, size))
    answer, read = slice(d, d + 1), slice(size - 1, size)
    ask = moving(m, x, 1.0)
    start = LayerWeights(
        W_Q=keep, W_K=keep, W_V=moving(x, m, spec.rate), P=np.eye(size), skip=none
    )
    step = LayerWeights(
        W_Q=ask,
        W_K=keep,
        W_V=moving(m, m, -1.0),
        P=np.eye(size),
        skip=moving(m, m, 1.0),
    )
    last = LayerWeights(
        W_Q=ask, W_K=keep, W_V=moving(answer, read, 1.0), P=np.eye(size), skip=none
    )
    return NetworkWeights(
        layers=(start, *(step,) * spec.n_layers, last),
        n_inputs=d,
        d_token=size,
        read=size - 1,
        sign=1.0,
        n_reading=1,
    )
