"""What each single demonstration does to the answers of a learner.

A learner answers after all N demonstrations of a set, after each one alone and after
all but each one (see ``shown_subsets``). On text an answer is the vector of the
outcomes' probabilities: the labels', or those of a right answer and of any other. On
regression it is the prediction.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.observations.observation import Observation

Pair = tuple[Observation, Observation]
"""Answers with and without each demonstration: one of the two has N sets for each set
of the other. Its effects are the first less the second."""


def additivity_gap(
    whole: Observation, alone: Observation, before: Observation
) -> Measurement:
    """Measure how far the effect of all demonstrations is from a sum of single effects.

    With Δ_N the change of the answer that all N demonstrations make, and Δ_i that of
    the i-th alone: ‖Δ_N − a Σᵢ Δ_i‖ over the root mean square of ‖Δ_N‖ in the cell. One
    step of GD has gap 0 where answers are linear in the weights: a is 1 for a loss that
    is a sum over demonstrations, 1/N for a mean. As either is GD, a is chosen by least
    squares, for each set on all the other sets.

    Args:
        whole: Answers after all demonstrations.
        alone: Answers after each demonstration alone.
        before: Answers after none.

    Returns:
        Shape (n_sets, n_queries). The mean is 0 if the effects add up, and near 1 if
        single effects say nothing of the effect of all. Values are those whose spread
        includes the error of the estimated size (see ``_in_estimated_unit``).

    Raises:
        ShapeError: The answers are not those of one cell.

    Reference:
        Zhang et al. 2024, arXiv:2401.06469 (Batch-ICL) average the effects; a is ours.
    """
    change = _answers(whole) - _answers(before)  # (n_sets, n_queries, n_outcomes)
    total = effects((alone, before)).sum(axis=1)
    gap = np.linalg.norm(change - _scales(change, total) * total, axis=-1)
    squares = np.sum(change**2, axis=-1)
    size = float(np.sqrt(squares.mean())) or 1.0
    parts = (size + squares / size) / 2  # √m is linear in m near the estimate
    return Measurement(
        name="additivity gap",
        values=_in_estimated_unit(gap, parts),
        unit="effect size",
        zero="single effects add up",
        one="single effects say nothing of all",
    )


def _in_estimated_unit(amounts: Array, parts: Array) -> Array:
    """Divide amounts by a unit that is estimated from the same answers.

    The ratio r of two means ā/ū varies as the mean of (a − r(u − ū))/ū does, to first
    order (the delta method). Such values have the mean r, and their spread is that of
    the ratio, so that ratios in different units can be subtracted.

    Args:
        amounts: a, shape (n_sets, n_queries).
        parts: What each set and query adds to the unit; the unit is their mean.
    """
    unit = float(parts.mean()) or 1.0
    ratio = float(amounts.mean()) / unit
    return np.asarray((amounts - ratio * (parts - unit)) / unit)


def _scales(change: Array, total: Array) -> Array:
    """Fit a in change ≈ a · total for each set on the others; (n_sets, 1, 1)."""
    products = (change * total).sum(axis=(1, 2))
    squares = (total * total).sum(axis=(1, 2))
    if len(squares) > 1:  # a single set has no others
        products, squares = products.sum() - products, squares.sum() - squares
    scales = products / np.where(squares > 0, squares, 1.0)
    return np.asarray(scales[:, None, None])


def influence_slope(pair: Pair) -> Measurement:
    """Measure how much more the last demonstration of a prompt counts than the first.

    A demonstration's influence on a query is the size of its effect: the sum of the
    absolute changes of the outcomes, or |Δŷ| on regression. The slope is that of the
    least-squares line through the influences at the places 1 … N, times N − 1, so that
    it is the difference between its two ends.

    Args:
        pair: Answers after all demonstrations in the order of the prompt, and with each
            one changed, for instance its label. A demonstration that is left out does
            not show how a learner forgets: early ones teach what later ones repeat, so
            one pass of SGD on noiseless tasks has no rise.

    Returns:
        Shape (n_sets, n_queries), over the mean influence in the cell: 0 if the place
        does not matter, above 0 if later demonstrations count more. Values are those
        whose spread includes the error of that mean (see ``_in_estimated_unit``).

    Raises:
        ShapeError: There are fewer than two demonstrations, or the answers are not
            those of one cell.

    Reference:
        Kossen et al. 2024, arXiv:2307.12375, ask it by switching labels half-way.
    """
    changes = effects(pair)  # (n_sets, n_demonstrations, n_queries, n_outcomes)
    influence = np.abs(changes).sum(axis=-1)
    n = influence.shape[1]
    places = np.linspace(-0.5, 0.5, n)
    slopes = np.einsum("snq,n->sq", influence, places) / (places @ places)
    return Measurement(
        name="rise of influence from first to last",
        values=_in_estimated_unit(slopes, influence.mean(axis=1)),
        unit="mean influence",
        zero="the place does not matter",
        one="the ends differ by the mean influence",
        chance=0.0,
    )


def influence_rank_correlation(ours: Pair, theirs: Pair) -> Measurement:
    """Measure whether the same demonstrations move two learners' answers.

    Spearman's correlation, over the demonstrations of a set, of their signed effects on
    the probability of a query's right answer; on regression on the prediction.

    Args:
        ours: A learner's answers with and without each demonstration.
        theirs: Another learner's.

    Returns:
        Shape (n_sets, n_queries), in [−1, 1]: 1 for the same ranking, 0 for an
        unrelated one. If all demonstrations have the same effect on one learner, it is
        0; if they have on both, neither prefers one, and it is 1.

    Raises:
        ShapeError: There are fewer than two demonstrations, or the answers are not
            those of one cell.

    Reference:
        Spearman 1904, doi:10.2307/1412159, with mean ranks for ties. Zhou et al. 2024,
        arXiv:2405.14899 (DETAIL), compare influences in context with gradients.
    """
    a, b = (_centred_ranks(_on_the_right_answer(pair)) for pair in (ours, theirs))
    if a.shape != b.shape:
        raise ShapeError(
            f"The effects have shapes {a.shape} and {b.shape}. Expected the same sets, "
            f"demonstrations and queries. Compare observations of one cell."
        )
    product = (a * b).sum(axis=1)
    ours_squared, theirs_squared = (a * a).sum(axis=1), (b * b).sum(axis=1)
    sizes = np.sqrt(ours_squared * theirs_squared)
    correlations = product / np.where(sizes > 0, sizes, 1.0)
    return Measurement(
        name="rank correlation of influences",
        values=np.where(ours_squared + theirs_squared > 0, correlations, 1.0),
        unit="Spearman's ρ",
        zero="unrelated rankings",
        one="the same ranking",
        chance=0.0,
    )


def of_another_query(pair: Pair) -> Pair:
    """Give every query the answers to the next one of its set.

    Effects of the same demonstrations on unrelated queries are a floor of likeness.
    """
    first, second = (_rolled(observation) for observation in pair)
    return first, second


def effects(pair: Pair) -> Array:
    """Subtract answers, set by set and demonstration by demonstration.

    Returns:
        Shape (n_sets, n_demonstrations, n_queries, n_outcomes).

    Raises:
        ShapeError: There are fewer than two demonstrations, or the answers are not
            those of one cell.
    """
    after, before = map(_answers, pair)
    few, many = sorted((len(after), len(before)))
    if many % few or many < 2 * few or after.shape[1:] != before.shape[1:]:
        raise ShapeError(
            f"Answers of shape {after.shape} and {before.shape} were compared. "
            f"Expected at least two sets of the one for each set of the other, with "
            f"the same queries. Ask for shown='each_alone' or 'all_but_one'."
        )
    after, before = (a.reshape(few, -1, *a.shape[1:]) for a in (after, before))
    return np.asarray(after - before)


def _on_the_right_answer(pair: Pair) -> Array:
    """Give the effects on the right outcome; (n_sets, n_demonstrations, n_queries)."""
    changes, first = effects(pair), pair[0]
    if "predictions" in first.arrays:
        return np.asarray(changes[..., 0])
    made = len(first.right_outcome) // len(changes)
    right = first.right_outcome[::made][:, None, :, None]
    return np.asarray(np.take_along_axis(changes, right, axis=-1)[..., 0])


def _centred_ranks(values: Array) -> Array:
    """Rank along axis 1, ties by their mean rank, and subtract the mean of all ranks.

    A value's rank is half the number of values that are not larger plus half the number
    of those that are smaller, so the centred rank is half the sum of the signs of its
    differences to all.
    """
    differences = values[:, :, None] - values[:, None]
    return np.asarray(np.sign(differences).sum(axis=2) / 2)


def _answers(observation: Observation) -> Array:
    """Give answers as vectors, shape (n_sets, n_queries, n_outcomes)."""
    if "predictions" in observation.arrays:
        return observation.predictions[..., None]
    return np.asarray(np.exp(observation.outcome_log_probs))


def _rolled(observation: Observation) -> Observation:
    arrays = {
        name: np.roll(array, 1, axis=1) for name, array in observation.arrays.items()
    }
    return replace(observation, arrays=arrays)
