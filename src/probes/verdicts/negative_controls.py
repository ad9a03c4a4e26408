"""Negative controls: whether a measure distinguishes trained from random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from probes.measurement import Measurement
from probes.verdicts.gain import is_clearly_positive
from probes.verdicts.thresholds import ALPHA

ROUNDING = 12
"""Digits after the point that count; a smaller advantage is rounding."""
Better = Literal["higher", "nearer 0"]
UNTRAINED = "the untrained network"
"""The name of the arm with random weights, in rows and among floors."""
UNTRAINED_BUT_EMBEDDINGS = "the network with random weights except embeddings and norms"
"""The name of the arm that keeps its trained embeddings and norms."""


def remark_on_control(
    trained: Measurement,
    untrained: Measurement,
    *,
    better: Better,
    alpha: float = ALPHA,
    arm: str = UNTRAINED,
) -> str:
    """Say so if trained weights do not score clearly better than random ones.

    Deutch et al. 2023, arXiv:2311.07772, found untrained models to score like trained
    ones on published similarities. A similarity counts only if it beats that arm.

    Args:
        trained: What was measured.
        untrained: The same with random weights, under the same settings.
        better: Which values speak for the claim.
        alpha: Level at which "clearly" is tested.
        arm: The name of the untrained arm.

    Returns:
        A remark for the row; empty if the trained network is clearly better.
    """
    if trained.values.shape != untrained.values.shape:
        gain = trained.mean - untrained.mean
        clear = (
            gain > 0 if better == "higher" else abs(trained.mean) < abs(untrained.mean)
        )
    else:
        clear = is_clearly_positive(_gain(trained, untrained, better), alpha=alpha)
    if clear:
        return ""
    return (
        f"{arm} scores {untrained.mean:.3g} and the trained one "
        f"{trained.mean:.3g}: {trained.name} cannot tell them apart here"
    )


def own_floors(floors: Mapping[str, Measurement]) -> dict[str, Measurement]:
    """Leave out the arms with random weights, which are of another network."""
    return {
        name: floor
        for name, floor in floors.items()
        if name not in (UNTRAINED, UNTRAINED_BUT_EMBEDDINGS)
    }


def remark_on_floors(
    similarity: Measurement,
    floors: Mapping[str, Measurement],
    *,
    alpha: float = ALPHA,
) -> str:
    """Remark on every untrained arm among the floors of a similarity."""
    remarks = [
        remark_on_control(
            similarity, floors[arm], better="higher", alpha=alpha, arm=arm
        )
        for arm in (UNTRAINED, UNTRAINED_BUT_EMBEDDINGS)
        if arm in floors
    ]
    return "; ".join(filter(None, remarks))


def _gain(trained: Measurement, untrained: Measurement, better: Better) -> Measurement:
    ours, theirs = trained.values, untrained.values
    gain = ours - theirs
    if better == "nearer 0":
        gain = np.sign(untrained.mean) * theirs - np.sign(trained.mean) * ours
    return replace(trained, values=gain.round(ROUNDING))
