"""How the loss on the right answer falls with the number of demonstrations.

A curve maps numbers of demonstrations to a learner's answers after so many, from 0,
which is the model before it has learned. The loss is −log p of the right answer, over
the whole vocabulary (see ``Observation.right_log_probs``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from probes.measurement import Array, Measurement
from probes.observations.observation import Observation

Curve = Mapping[int, Observation]


def answer_loss(ours: Observation) -> Measurement:
    """Measure −log p of the right answer, shape (n_sets, n_queries)."""
    return Measurement(
        name="loss on the right answer",
        values=_loss(ours),
        unit="nats",
        zero="certain and right",
    )


def loss_over_numbers(curve: Curve) -> Measurement:
    """Average the loss over all numbers of demonstrations but 0, each counting alike.

    Returns:
        Shape (n_sets, n_queries), in nats.
    """
    losses = [_loss(answers) for n, answers in curve.items() if n > 0]
    return Measurement(
        name="loss over numbers of demonstrations",
        values=np.mean(losses, axis=0),
        unit="nats",
        zero="certain and right",
    )


def loss_fall(curve: Curve) -> Measurement:
    """Measure how far the loss falls from no demonstration to the most.

    Returns:
        Shape (n_sets, n_queries), in nats; above 0 if the demonstrations help.
    """
    return Measurement(
        name="fall of the loss",
        values=_loss(curve[0]) - _loss(curve[max(curve)]),
        unit="nats",
        zero="demonstrations do not help",
        chance=0.0,
    )


def loss_gap(icl: Curve, learner: Curve, n: int) -> Measurement:
    """Measure how much higher a learner's loss is than ICL's, after n demonstrations.

    Args:
        icl: The curve of ICL.
        learner: The curve of another learner on the same queries.
        n: The number of demonstrations.

    Returns:
        Shape (n_sets, n_queries), over the mean fall of ICL's loss by all
        demonstrations: 0 if both have the same loss, 1 if the learner's is higher by
        all that ICL learns. ``unit_values`` hold each answer's own fall.
    """
    fall = loss_fall(icl).values
    unit = float(fall.mean()) or 1.0
    return Measurement(
        name=f"loss of the learner − of ICL after {n}",
        values=(_loss(learner[n]) - _loss(icl[n])) / unit,
        unit="fall of ICL's loss",
        zero="the same loss",
        one="higher by all that ICL learns",
        unit_values=fall / unit,
    )


def gaps_both_ways(icl: Curve, learner: Curve) -> list[Measurement]:
    """List the gap after each number of demonstrations, and the same with other sign.

    Two curves agree within a margin if all of these lie below it.
    """
    gaps = [loss_gap(icl, learner, n) for n in icl if n > 0]
    turned = [
        replace(
            gap,
            name=gap.name.replace("the learner − of ICL", "ICL − of the learner"),
            values=-gap.values,
        )
        for gap in gaps
    ]
    return [*gaps, *turned]


def power_law_error(curve: Curve) -> Measurement:
    """Measure how far a curve is from c + a(n + 1)^−α, the best one for each set.

    Returns:
        Shape (n_sets, 1): the root mean square over numbers of demonstrations of the
        distance between the law and the mean loss of the set's queries, in nats.

    Reference:
        The form with an offset of Arora et al. 2024, arXiv:2410.16531, who compare it
        with Bayesian laws; there n counts from 1.
    """
    starts, low, high = ((0.1, 1.0, 0.5),), (0, 0, 0), (50, 50, 5)
    return _law_error("power law", _power_law, curve, starts, low, high)


def bayesian_law_error(curve: Curve) -> Measurement:
    """Measure how far a curve is from Bayes with two hypotheses, the best for each set.

    The right hypothesis gives the right answer the probability P, the other Q = rP, and
    their odds before the first demonstration are 1 to c. After n demonstrations p = P(1
    + crⁿ⁺¹)/(1 + crⁿ). P, r and c are free, as many numbers as in the power law.

    Returns:
        As :func:`power_law_error`.

    Reference:
        Arora et al. 2024, arXiv:2410.16531: with M hypotheses, and with a free
        efficiency K in place of the 1 by which every demonstration counts here.
    """
    starts = ((0.5, 1.0, -1.0), (0.5, 3.0, -0.3))
    low, high = (0, -20, -20), (50, 20, 0)
    return _law_error("Bayesian law", _bayesian_law, curve, starts, low, high)


def _power_law(free: Array, n: Array) -> Array:
    offset, size, exponent = free
    return np.asarray(offset + size * (n + 1) ** -exponent)


def _bayesian_law(free: Array, n: Array) -> Array:
    """Give −log p; free are −log P, log c and log r."""
    least, odds, ratio = free
    before, after = (np.logaddexp(0, odds + k * ratio) for k in (n, n + 1))
    return np.asarray(least + before - after)


def _law_error(
    name: str,
    law: Callable[[Array, Array], Array],
    curve: Curve,
    starts: Sequence[Sequence[float]],
    low: Sequence[float],
    high: Sequence[float],
) -> Measurement:
    """Fit a law with three free numbers to each set's mean losses."""
    from scipy.optimize import least_squares  # here, so that claims are listed fast

    numbers = np.array(sorted(curve), dtype=np.float64)
    losses = np.stack([_loss(curve[n]).mean(axis=1) for n in sorted(curve)], axis=1)
    errors = []
    for of_set in losses:
        fits = [
            least_squares(
                lambda free, y=of_set: law(free, numbers) - y, start, bounds=(low, high)
            )
            for start in starts
        ]
        errors.append(min(np.sqrt(np.mean(fit.fun**2)) for fit in fits))
    return Measurement(
        name=f"distance from the {name}",
        values=np.array(errors)[:, None],
        unit="nats",
        zero="the law holds",
    )


def _loss(answers: Observation) -> Array:
    return -answers.right_log_probs
