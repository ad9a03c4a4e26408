"""How alike two learners place queries in activation space, and how labels lie there.

Both measures read ``outputs`` of ``learners.activations``: self-attention's output at
the last token, layer by layer. They look at queries in relation to each other, so that
a rotation or a shift of the whole space does not matter.
"""

from __future__ import annotations

import numpy as np

from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.observations.observation import Observation

LEAST = 4
"""Queries of a set, at least: with fewer, nothing is left after centring."""
NEIGHBOURS = 5
"""Nearest queries whose labels are counted."""
SHOWN = 5
"""Layers that a row shows apart, at most."""


def representation_similarity(
    icl: Observation, learner: Observation, *, layer: int | None = None
) -> Measurement:
    """Measure linear CKA between two learners' activations of a set's queries.

    In each layer, K holds the inner products of all pairs of different queries. It is
    centred without bias (U-centring), and CKA is the cosine of the two matrices. Plain
    CKA is biased upwards: with as many dimensions as queries, random activations score
    about ½. This one scores 0 on average.

    Args:
        icl: Activations of ICL.
        learner: Activations of another learner.
        layer: Measure this layer alone; negative numbers count from the last. None: the
            mean over layers.

    Returns:
        Shape (n_sets, n_queries): a set's CKA, and what each query adds to it. The mean
        over a set's queries is its CKA, in [−1, 1]: 1 for the same geometry, 0 for
        unrelated ones, and where one learner puts out the same for all queries. A
        query is in many pairs, so that its values vary as its influence on CKA does (to
        first order); a single one may lie outside [−1, 1].

    Raises:
        ShapeError: The observations are of other queries or sizes, or of fewer than 4
            queries.

    Reference:
        Kornblith et al. 2019, arXiv:1905.00414, with the unbiased HSIC of Song et al.
        2012, eq. 5, in the form of Székely and Rizzo 2014, doi:10.1214/14-AOS1255.
        Doimo et al. 2024, arXiv:2409.03662, ask it of the residual stream.
    """
    shapes = icl["outputs"].shape, learner["outputs"].shape
    if shapes[0] != shapes[1]:
        raise ShapeError(
            f"Activations have shapes {shapes[0]} and {shapes[1]}. Expected the same "
            f"sets, queries, layers and sizes. Compare observations of one cell."
        )
    a, b = (_centred_products(_by_layer(o, layer)) for o in (icl, learner))
    n = a.shape[-1]
    products, ours, theirs = ((x * y).sum(axis=-1) for x, y in ((a, b), (a, a), (b, b)))
    similarity = products.sum(axis=-1, keepdims=True)  # (n_sets, n_layers, 1)
    added = products - similarity * (ours + theirs) / 2
    values = similarity + 2 * n * added
    return Measurement(
        name="debiased CKA of activations",
        values=values.mean(axis=1),
        unit="similarity",
        zero="unrelated geometries",
        one="the same geometry",
        chance=0.0,
    )


def label_neighbours(inside: Observation, answered: Observation) -> Measurement:
    """Measure the share of a query's nearest queries that have its label.

    Near are those at the least Euclidean distance, ``NEIGHBOURS`` of them. The labels
    are the right ones, whatever the learner answers.

    Args:
        inside: Activations of a learner.
        answered: Answers to the same queries, which hold the labels.

    Returns:
        Shape (n_sets, n_queries), the mean over layers; 1 if activations have collapsed
        onto labels; the chance is the share of a label among the other queries.

    Raises:
        ShapeError: The observations are of other queries, or of fewer than 4.

    Reference:
        Doimo et al. 2024, arXiv:2409.03662, neighbourhood overlap with the labels.
    """
    h, gold = _by_layer(inside, None), answered.gold
    if gold.shape != (h.shape[0], h.shape[2]):
        raise ShapeError(
            f"Activations of {h.shape[0]} sets and {h.shape[2]} queries were given "
            f"labels of shape {gold.shape}. Expected the same queries. Compare "
            f"observations of one cell."
        )
    alike = gold[:, :, None] == gold[:, None]  # (n_sets, n_queries, n_queries)
    others = ~np.eye(gold.shape[1], dtype=bool)
    squares = np.where(others, _squared_distances(h), np.inf)
    nearest = np.argsort(squares, axis=-1, kind="stable")[..., :NEIGHBOURS]
    shared = np.take_along_axis(alike[:, None], nearest, axis=-1)
    return Measurement(
        name="nearest queries with the same label",
        values=shared.mean(axis=-1).mean(axis=1),
        unit="fraction",
        zero="no neighbour has the label",
        one="activations have collapsed onto labels",
        chance=float(alike[:, others].mean()),
    )


def similarity_by_layer(
    icl: Observation, learner: Observation
) -> dict[str, Measurement]:
    """Measure CKA in a few layers apart, from the first to the last, by their names."""
    n_layers = icl["outputs"].shape[2]
    shown = np.linspace(0, n_layers - 1, min(SHOWN, n_layers)).round().astype(int)
    return {
        f"layer {layer + 1} of {n_layers}": representation_similarity(
            icl, learner, layer=layer
        )
        for layer in shown.tolist()
    }


def labels_apart(answered: Observation, **arms: Observation) -> dict[str, Measurement]:
    """Measure how labels lie inside several learners; nothing if answers are open."""
    if not answered.has_labels:
        return {}
    return {arm: label_neighbours(inside, answered) for arm, inside in arms.items()}


def _by_layer(observation: Observation, layer: int | None) -> Array:
    """Give activations as (n_sets, n_layers, n_queries, d_model).

    Raises:
        ShapeError: There are too few queries.
    """
    h = observation["outputs"].astype(np.float64)
    if h.shape[1] < LEAST:
        raise ShapeError(
            f"The geometry of {h.shape[1]} queries was measured. Expected at least "
            f"{LEAST}. Pass --queries 30 or more."
        )
    h = h if layer is None else h[:, :, [layer]]
    return np.asarray(h.swapaxes(1, 2))


def _centred_products(h: Array) -> Array:
    """Multiply different queries, U-centre the products, and scale them to norm 1.

    Returns:
        Shape (n_sets, n_layers, n_queries, n_queries); 0 where nothing is left.
    """
    n = h.shape[2]
    others = 1.0 - np.eye(n)
    products = others * (h @ h.swapaxes(-1, -2))
    rows = products.sum(axis=-1, keepdims=True) / (n - 2)
    whole = rows.sum(axis=-2, keepdims=True) / (n - 1)
    centred = others * (products - rows - rows.swapaxes(-1, -2) + whole)
    norm = np.linalg.norm(centred, axis=(-2, -1), keepdims=True)
    return np.asarray(centred / np.where(norm > 0, norm, 1.0))


def _squared_distances(h: Array) -> Array:
    """Square distances between queries, (n_sets, n_layers, n_queries, n_queries)."""
    squares = (h * h).sum(axis=-1)
    products = h @ h.swapaxes(-1, -2)
    return np.asarray(squares[..., None] + squares[..., None, :] - 2 * products)
