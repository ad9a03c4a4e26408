"""How the answer to a query changes if the labels of the demonstrations change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.measures.bounds import bound_agreement, measure_sum
from probes.measures.token_ranks import accuracy_over_numbers, label_accuracy
from probes.observations.observation import Observation
from probes.observations.token_sums import sum_over_tokens

Pair = tuple[Observation, Observation]


def flipped_accuracy(learned: Observation) -> Measurement:
    """Measure how often the likeliest label is the one that follows the right one.

    It is what demonstrations with flipped labels teach (see ``data.changed_labels``).

    Returns:
        0 or 1 for each set and query; 0 where the model's own answer is right.

    Raises:
        ShapeError: The answers are open.

    Reference:
        Kossen et al. 2024, arXiv:2307.12375, and Wei et al. 2023, arXiv:2303.03846.
    """
    found = label_accuracy(_following_flips(learned))
    return replace(found, name="accuracy under flipped labels")


def flipped_accuracy_over_numbers(learned: Sequence[Observation]) -> Measurement:
    """Average it over numbers of demonstrations, as ``accuracy_over_numbers`` does.

    Raises:
        ShapeError: The answers are open, or they are to other queries.
    """
    found = accuracy_over_numbers([_following_flips(one) for one in learned])
    name = "accuracy under flipped labels over numbers of demonstrations"
    return replace(found, name=name)


def _following_flips(learned: Observation) -> Observation:
    """Call the label that follows the right one right."""
    if not learned.has_labels:
        raise ShapeError(
            "Accuracy under flipped labels was measured of open answers. Expected a "
            "closed set of labels, in which one follows the other. Use a dataset with "
            "labels."
        )
    following = (learned.gold + 1) % len(learned.label_tokens)
    return replace(learned, arrays={**learned.arrays, "gold": following})


def change_size(before: Observation, after: Observation) -> Measurement:
    """Measure how far an answer moves: total variation over the vocabulary, in [0, 1].

    Raises:
        ShapeError: The two did not answer the same queries.
    """

    def named(values: Array) -> Measurement:
        return Measurement(
            name="change of the answer",
            values=values,
            unit="probability",
            zero="no change",
            one="disjoint answers",
        )

    return measure_sum(named, sum_over_tokens(_halved_changes, before, after))


def _halved_changes(log_probs: Sequence[Array]) -> Array:
    """Give each token's share of the total variation."""
    before, after = map(np.exp, log_probs)
    return np.asarray(np.abs(after - before) / 2)


def change_agreement(ours: Pair, theirs: Pair) -> Measurement:
    """Measure how similar two changes of answers are, in direction and in size.

    With a and b the changes of the probabilities of all tokens, ⟨a, b⟩ over the larger
    of ‖a‖² and ‖b‖²: their cosine times the smaller length over the larger.

    Args:
        ours: A learner's answers before and after.
        theirs: Another learner's, to the same queries.

    Returns:
        A number in [−1, 1]; 1 is the same change, −1 the opposite, 0 an unrelated one;
        also 0 if at least one of the two does not change.

    Raises:
        ShapeError: They did not answer the same queries.
    """
    product = sum_over_tokens(_products, *ours, *theirs)
    squares = tuple(sum_over_tokens(_products, *pair, *pair) for pair in (ours, theirs))
    larger = np.maximum(squares[0].values, squares[1].values)
    found = Measurement(
        name="agreement of changes",
        values=product.values / np.where(larger > 0, larger, 1.0),
        unit="similarity",
        zero="unrelated changes",
        one="the same change",
        chance=0.0,
    )
    return bound_agreement(found, product, (squares[0], squares[1]))


def _products(log_probs: Sequence[Array]) -> Array:
    """Multiply each token's two changes, from first to second and third to fourth."""
    before, after, others_before, others_after = map(np.exp, log_probs)
    return np.asarray((after - before) * (others_after - others_before))
