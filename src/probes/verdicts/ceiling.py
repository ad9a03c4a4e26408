"""Whether a similarity reaches its ceiling, on the way from its floor.

The effect is (similarity − floor) / (ceiling − floor): 0 is no more than an arm that
learned nothing, 1 is as like ICL as ICL is like itself. The interval is Fieller's; the
test is of superiority, on the contrast similarity − floor − (1 − margin)(ceiling −
floor), in which the errors of floor and ceiling count.

The claim is about the highest of several floors, and any of them may truly be it. The
contrast falls as the floor rises. So *supported* needs every floor to be clearly
passed: p is the largest of all (Berger 1982, *Technometrics* 24:295). *Refuted* needs
one of them: a claim that holds from the highest floor holds from every lower one. Its p
is that of Simes (1986, *Biometrika* 73:751), for the contrasts share similarity and
ceiling and so vary together.

Of several ceilings, the claim is about the lowest, and any may truly be it. The
contrast falls as the ceiling rises. So the two rules change places: *supported* needs
one ceiling to be clearly reached (Simes), *refuted* needs all to be missed (the largest
p). To judge only the ceiling that is lowest in the sample is a mistake: its errors make
it look lower than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from probes.errors import ClaimError, ShapeError
from probes.measurement import Array, Measurement
from probes.verdicts.crossed_means import variance_components
from probes.verdicts.decision import decide, finite_interval, p_values
from probes.verdicts.exact import require_margin
from probes.verdicts.false_discovery import simes
from probes.verdicts.gain import Finding, find_gain
from probes.verdicts.group_means import GroupMeans
from probes.verdicts.judgement import Effect, Judgement
from probes.verdicts.ratio import ratio_interval
from probes.verdicts.thresholds import ALPHA, WIDENING, level_with


def ceiling_test(
    similarity: Measurement,
    *,
    floors: Sequence[Measurement],
    ceiling: Measurement,
    further_ceilings: Sequence[Measurement] = (),
    margin: float,
    alpha: float = ALPHA,
) -> Judgement:
    """Decide whether a similarity comes within a margin of its ceiling.

    Args:
        similarity: Of ICL and the learner.
        floors: The same for arms without learning. The largest mean is shown; any may
            truly be the highest.
        ceiling: The same similarity of ICL and ICL.
        further_ceilings: The same similarity for what ICL that is GD cannot exceed. Of
            all ceilings, the smallest mean is shown; any may truly be the lowest.
        margin: Share of the way that may be missing, 0 < margin < 1.
        alpha: Level of this interim analysis, see ``group_sequential``.

    Returns:
        *not_applicable* if it is excluded that the ceiling is above the floor;
        *inconclusive* if that is not clear.

    Raises:
        ClaimError: The margin is no such share, or there is no floor.
        ShapeError: The arms were not measured on the same sets and queries.
    """
    margin = _require_share(margin)
    floor = _highest(similarity, floors)
    ceilings = (ceiling, *further_ceilings)
    _require_shapes(similarity, *floors, *ceilings)
    ceiling = min(ceilings, key=lambda arm: arm.mean)
    room = replace(ceiling, values=ceiling.values - floor.values, name="room")
    finding = find_gain(room, alpha=alpha)
    if finding != "clear":
        return _without_room(similarity, floor, ceiling, margin, finding)
    p = [[_p_values(similarity, f, c, margin) for f in floors] for c in ceilings]
    inside, outside = map(float, combine_arms(*np.moveaxis(np.array(p), -1, 0)))
    above = similarity.values - floor.values
    contrast = above - (1 - margin) * room.values
    effect = _effect(similarity, floor, ceiling, margin)
    level = level_with(above.shape, alpha)
    effect = _share_of_the_way(effect, above, room.values, level)
    effect = replace(
        effect, components=variance_components(contrast / room.values.mean())
    )
    gap = effect.value - (1 - margin)
    return decide(effect, inside, outside, gap=gap, alpha=alpha)


def combine_arms(inside: Array, outside: Array) -> tuple[Array, Array]:
    """Combine p-values from several arms into p of *supported* and of *refuted*.

    Args:
        inside: p of "reaches the ceiling", shape (n_ceilings, n_floors, …).
        outside: p of "does not", of the same shape.

    Returns:
        Both, each of shape (…).
    """
    missed = simes(np.moveaxis(outside, 1, 0))
    return simes(inside.max(axis=1)), missed.max(axis=0)


def _p_values(
    similarity: Measurement, floor: Measurement, ceiling: Measurement, margin: float
) -> tuple[float, float]:
    """Compute p of "reaches the ceiling" and of "does not", from one floor."""
    above = similarity.values - floor.values
    contrast = above - (1 - margin) * (ceiling.values - floor.values)
    outside, inside = p_values(contrast, 0.0, one_sided=True)
    return float(inside), float(outside)


def _effect(
    similarity: Measurement, floor: Measurement, ceiling: Measurement, margin: float
) -> Effect:
    return Effect(
        name=similarity.name,
        value=similarity.mean,
        unit=similarity.unit,
        margin=margin,
        floor=floor.mean,
        ceiling=ceiling.mean,
        n_sets=similarity.n_sets,
        n_queries=similarity.n_queries,
        counts_groups=isinstance(similarity, GroupMeans),
    )


def _share_of_the_way(
    effect: Effect, above: Array, room: Array, level: float
) -> Effect:
    """Express an effect as a share of the way from floor to ceiling."""
    size = float(room.mean())
    low, high = finite_interval(
        ratio_interval(above, room, level=level, widening=WIDENING)
    )
    share = Measurement(name=effect.name, values=above / size, unit="fraction")
    return replace(
        effect,
        name=f"{effect.name}, share of the way from floor to ceiling",
        unit="fraction",
        value=float(above.mean() / size),
        low=low,
        high=high,
        level=level,
        sets=share.set_means,
    )


def _without_room(
    similarity: Measurement,
    floor: Measurement,
    ceiling: Measurement,
    margin: float,
    finding: Finding,
) -> Judgement:
    effect = _effect(similarity, floor, ceiling, margin)
    heights = (
        f"the ceiling ({ceiling.mean:.3g}) is {{}} above the floor ({floor.mean:.3g})"
    )
    if finding == "excluded":
        return Judgement(
            verdict="not_applicable",
            effect=effect,
            reason=f"{heights.format('not')}, so {similarity.name} cannot tell "
            f"learning from none",
        )
    return Judgement(
        verdict="inconclusive",
        effect=effect,
        reason=f"{heights.format('not clearly')}; {effect.more_may_decide}",
    )


def _highest(similarity: Measurement, floors: Sequence[Measurement]) -> Measurement:
    if not floors:
        raise ClaimError(
            f"{similarity.name!r} is judged without a floor. Expected at least one "
            f"arm that learned nothing. Pass floors=[…]."
        )
    return max(floors, key=lambda arm: arm.mean)


def _require_share(margin: float) -> float:
    margin = require_margin(margin)
    if margin >= 1:
        raise ClaimError(
            f"The margin is {margin!r}. Expected the share of the way from floor to "
            f"ceiling that may be missing, below 1. Pass margin=0.1, say."
        )
    return margin


def _require_shapes(similarity: Measurement, *arms: Measurement) -> None:
    for arm in arms:
        if arm.values.shape != similarity.values.shape:
            raise ShapeError(
                f"{similarity.name!r} has shape {similarity.values.shape} and an arm "
                f"has {arm.values.shape}. Expected the same sets and queries. Measure "
                f"all arms on one cell."
            )
