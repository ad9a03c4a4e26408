"""How much a learner's answer depends on the order of its demonstrations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.measures.bounds import bound_relative_spread, bound_spread
from probes.observations.common_support import on_common_support
from probes.observations.observation import Observation, require_same_cells


def order_sensitivity(orders: Sequence[Observation]) -> Measurement:
    """Measure Sen: the spread of each token's probability over orders, summed.

    Args:
        orders: The same learner after R >= 2 orders of the same demonstrations.

    Returns:
        Standard deviation (of R values, divisor R) over orders for each vocabulary
        entry, summed over the vocabulary; shape (n_sets, n_queries); 0 is indifference.
        It has bounds if only part of the answers is kept.

    Raises:
        ShapeError: There are fewer than two orders, or they answer other queries.

    Reference:
        Shen et al. 2024, arXiv:2310.08540, "Sen", R = 10. The paper does not state the
        divisor; R is ours.
    """
    shared = on_common_support(*_checked(orders))
    spread = _spread([np.exp(p) for p in shared.log_probs]).sum(-1)
    found = _measured("order sensitivity", spread, "probability")
    return bound_spread(found, shared)


def label_order_sensitivity(orders: Sequence[Observation]) -> Measurement:
    """Measure Sen on the labels' renormalised probabilities only.

    On open tasks the two outcomes are a right answer and any other.

    Raises:
        ShapeError: There are fewer than two orders, or they answer other queries.
    """
    spread = _spread([np.exp(o.outcome_log_probs) for o in _checked(orders)]).sum(-1)
    over = "labels" if orders[0].has_labels else "right answers and others"
    return _measured(f"order sensitivity, {over}", spread, "probability")


def relative_order_sensitivity(
    orders: Sequence[Observation], other_demonstrations: Observation
) -> Measurement:
    """Measure Sen relative to the spread over different demonstrations.

    Sen grows with the sharpness of the output; the ratio does not. The denominator is
    the same sum of standard deviations over the first order and the answer to the same
    query after other demonstrations, averaged over sets and queries. Both have the
    divisor R − 1, since the numbers of values differ.

    Args:
        orders: The same learner after R >= 2 orders of the same demonstrations.
        other_demonstrations: The learner after as many other demonstrations.

    Returns:
        A ratio; 1 means that order matters as much as the choice of demonstrations. It
        is also 0 if other demonstrations change nothing at all.

    Raises:
        ShapeError: There are fewer than two orders, or they answer other queries.
    """
    checked = _checked(orders)
    shared, pair = (
        on_common_support(*checked),
        on_common_support(checked[0], other_demonstrations),
    )
    spread = _spread([np.exp(p) for p in shared.log_probs], ddof=1).sum(-1)
    scale = float(_spread([np.exp(p) for p in pair.log_probs], ddof=1).sum(-1).mean())
    values = spread / scale if scale > 0 else np.zeros_like(spread)
    found = _measured("order sensitivity relative to demonstrations", values, "ratio")
    return bound_relative_spread(found, scale, shared, pair)


def answer_order_sensitivity(orders: Sequence[Observation]) -> Measurement:
    """Measure the standard deviation of a regression prediction over orders.

    Returns:
        In units of the root mean square of the teacher's answers; 0 is indifference.

    Raises:
        ShapeError: There are fewer than two orders, or they answer other queries.
    """
    checked = _checked(orders)
    scale = float(np.sqrt(np.mean(checked[0]["answers"] ** 2)))
    spread = _spread([o.predictions for o in checked]) / (scale or 1.0)
    return _measured("order sensitivity", spread, "answer size")


def _checked(orders: Sequence[Observation]) -> Sequence[Observation]:
    if len(orders) < 2:
        raise ShapeError(
            f"Order sensitivity was measured over {len(orders)} order(s). Expected at "
            f"least 2. Pass --orders 2 or more."
        )
    require_same_cells(*orders)
    return orders


def _spread(values: Sequence[Array], *, ddof: int = 0) -> Array:
    stacked = np.stack(values)
    shifted = stacked - stacked[0]  # equal values give exactly 0
    return np.asarray(shifted.std(axis=0, ddof=ddof))


def _measured(name: str, values: Array, unit: str) -> Measurement:
    return Measurement(
        name=name, values=values, unit=unit, zero="order does not matter"
    )
