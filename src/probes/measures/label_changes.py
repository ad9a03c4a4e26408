"""How the answer to a query changes if the labels of the demonstrations change."""

from __future__ import annotations

import numpy as np

from probes.measurement import Measurement
from probes.measures.bounds import bound_agreement, bound_total_variation
from probes.observations.common_support import on_common_support
from probes.observations.observation import Observation

Pair = tuple[Observation, Observation]


def change_size(before: Observation, after: Observation) -> Measurement:
    """Measure how far an answer moves: total variation over the vocabulary, in [0, 1].

    Raises:
        ShapeError: The two did not answer the same queries.
    """
    shared = on_common_support(before, after)
    p, q = map(np.exp, shared.log_probs)
    found = Measurement(
        name="change of the answer",
        values=np.abs(q - p).sum(axis=-1) / 2,
        unit="probability",
        zero="no change",
        one="disjoint answers",
    )
    return bound_total_variation(found, shared)


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
    shared = on_common_support(*ours, *theirs)
    before, after, others_before, others_after = map(np.exp, shared.known)
    a, b = after - before, others_after - others_before
    larger = np.maximum((a**2).sum(axis=-1), (b**2).sum(axis=-1))
    found = Measurement(
        name="agreement of changes",
        values=(a * b).sum(axis=-1) / np.where(larger > 0, larger, 1.0),
        unit="similarity",
        zero="unrelated changes",
        one="the same change",
        chance=0.0,
    )
    return bound_agreement(found, (a, b), shared)
