"""Whether a gain is clear, excluded, or neither: the test of every gate.

A gate asks for a gain, such as that of ICL over zero-shot. A cell without any gain has
nothing to explain. But a gain that is only not seen yet is no reason to dismiss it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from probes.measurement import Array, Measurement
from probes.verdicts.decision import p_values, too_few
from probes.verdicts.equivalence import describe
from probes.verdicts.judgement import Judgement, effect_line
from probes.verdicts.thresholds import (
    ALPHA,
    LEAST_GAIN,
    LEAST_QUERIES,
    LEAST_SETS,
)

Finding = Literal["clear", "excluded", "possible"]
Flags = NDArray[np.bool_]


def find_gain(gain: Measurement, *, alpha: float = ALPHA) -> Finding:
    """Say what is known of a gain.

    Args:
        gain: What an arm has more of than another, at the least.
        alpha: Level of this interim analysis, see ``group_sequential``.

    Returns:
        *clear* if it is above 0; *excluded* if none is measured, and one of LEAST_GAIN
        is excluded; else *possible*. With too few sets or queries to test, a measured
        gain is *clear*: the verdict will say that they are too few.
    """
    if gain.n_sets < LEAST_SETS or gain.n_queries < LEAST_QUERIES:
        return "clear" if gain.mean > 0.0 else "possible"
    clear, excluded = gain_flags(gain.values, alpha=alpha, unit=gain.unit_values)
    return "clear" if clear else "excluded" if excluded else "possible"


def gain_flags(
    values: Array, *, alpha: float = ALPHA, unit: Array | None = None
) -> tuple[Flags, Flags]:
    """Say which gains are clear and which are excluded.

    Args:
        values: One matrix of sets × queries, or a stack of them.
        alpha: Level of both tests.
        unit: ``Measurement.unit_values``.
    """
    clear = p_values(values, 0.0, one_sided=True)[1] < alpha
    is_small = p_values(values, LEAST_GAIN, one_sided=True, unit=unit)[0] < alpha
    return clear, is_small & (values.mean(axis=(-2, -1)) <= 0.0)


def is_clearly_positive(gain: Measurement, *, alpha: float = ALPHA) -> bool:
    """Say whether a gain is above 0; see :func:`find_gain`."""
    return find_gain(gain, alpha=alpha) == "clear"


def judge_gain(
    gain: Measurement, *, otherwise: str, alpha: float = ALPHA
) -> Judgement | None:
    """Judge a cell by a gain that it needs; None if the gain is clear.

    A gain that is known only up to bounds is clear at its lower one, and excluded at
    its upper one.

    Args:
        gain: The gain.
        otherwise: Why the claim does not apply where there is no gain.
        alpha: Level of this interim analysis, see ``group_sequential``.
    """
    if find_gain(gain.at_least(), alpha=alpha) == "clear":
        return None
    effect = replace(describe(gain), sets=gain.set_means)
    most = gain.at_most()
    if find_gain(most, alpha=alpha) == "excluded":
        return Judgement(
            verdict="not_applicable",
            effect=effect,
            reason=f"{otherwise} ({effect_line(effect)}; a gain of {LEAST_GAIN:g} is "
            f"excluded)",
        )
    numbers = effect_line(effect)
    if few := too_few(effect):
        reason = f"no gain is measured ({numbers}), but {few}"
        return Judgement(verdict="inconclusive", effect=effect, reason=reason)
    high = describe(most).high
    unclear = (
        f"a gain of {LEAST_GAIN:g} is excluded, but a smaller one may be there"
        if high is not None and high < LEAST_GAIN
        else "it is not clear whether there is a gain to explain"
    )
    return Judgement(
        verdict="inconclusive",
        effect=effect,
        reason=f"{unclear} ({numbers}); {effect.more_may_decide}",
    )
