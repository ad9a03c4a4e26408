"""How much a learner's answer depends on the order of its demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from probes.errors import ShapeError
from probes.measurement import Array, Measurement
from probes.measures.bounds import bound_relative_sum, measure_sum
from probes.measures.prediction_distances import answer_size, parts_of_answer_size
from probes.observations.observation import Observation, require_same_cells
from probes.observations.token_sums import sum_over_tokens


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
    summed = sum_over_tokens(_spread_of_logs, *_checked(orders))
    return measure_sum(
        lambda sums: _measured("order sensitivity", sums, "probability"), summed
    )


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
    terms = partial(_spread_of_logs, ddof=1)
    spread = sum_over_tokens(terms, *checked)
    between = sum_over_tokens(terms, checked[0], other_demonstrations)
    scale = float(between.values.mean())
    values = spread.values / scale if scale > 0 else np.zeros_like(spread.values)
    found = _measured("order sensitivity relative to demonstrations", values, "ratio")
    if scale > 0:
        found = replace(found, unit_values=between.values / scale)
    return bound_relative_sum(found, spread, between)


def answer_order_sensitivity(orders: Sequence[Observation]) -> Measurement:
    """Measure the standard deviation of a regression prediction over orders.

    Returns:
        In units of the root mean square of the teacher's answers; 0 is indifference.

    Raises:
        ShapeError: There are fewer than two orders, or they answer other queries.
    """
    checked = _checked(orders)
    spread = _spread([o.predictions for o in checked]) / answer_size(checked[0])
    found = _measured("order sensitivity", spread, "answer size")
    return replace(found, unit_values=parts_of_answer_size(checked[0]))


def _checked(orders: Sequence[Observation]) -> Sequence[Observation]:
    if len(orders) < 2:
        raise ShapeError(
            f"Order sensitivity was measured over {len(orders)} order(s). Expected at "
            f"least 2. Pass --orders 2 or more."
        )
    require_same_cells(*orders)
    return orders


def _spread_of_logs(log_probs: Sequence[Array], *, ddof: int = 0) -> Array:
    """Give each token's standard deviation of probabilities."""
    return _spread([np.exp(p) for p in log_probs], ddof=ddof)


def _spread(values: Sequence[Array], *, ddof: int = 0) -> Array:
    stacked = np.stack(values)
    shifted = stacked - stacked[0]  # equal values give exactly 0
    return np.asarray(shifted.std(axis=0, ddof=ddof))


def _measured(name: str, values: Array, unit: str) -> Measurement:
    return Measurement(
        name=name, values=values, unit=unit, zero="order does not matter"
    )
