"""Whether a measure tells a trained network from one with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from probes.measurement import Measurement
from probes.verdicts.equivalence import is_gained
from probes.verdicts.thresholds import ALPHA

ROUNDING = 12
"""Digits after the point that count: less than that is no advantage but rounding."""
Better = Literal["higher", "nearer 0"]
UNTRAINED = "the untrained network"
"""The name of the arm with random weights, in rows and among floors."""
UNTRAINED_BUT_EMBEDDINGS = "the network random but for embeddings and norms"
"""The name of the arm that keeps these as they were trained."""


def tell_alike(
    trained: Measurement,
    untrained: Measurement,
    *,
    better: Better,
    alpha: float = ALPHA,
    arm: str = UNTRAINED,
) -> str:
    """Say that random weights score no worse, if trained ones are not clearly better.

    Deutch et al. 2023, arXiv:2311.07772, found untrained models to score like trained
    ones on published similarities: no similarity counts before it beats that arm.

    Args:
        trained: What was measured.
        untrained: The same with random weights, under the same settings.
        better: What would speak for the claim.
        alpha: Level at which "clearly" is tested.
        arm: The name of the untrained arm.

    Returns:
        A remark for the row; empty where the trained network is clearly better.
    """
    if trained.values.shape != untrained.values.shape:
        gain = trained.mean - untrained.mean
        clear = (
            gain > 0 if better == "higher" else abs(trained.mean) < abs(untrained.mean)
        )
    else:
        clear = is_gained(_gain(trained, untrained, better), alpha=alpha)
    if clear:
        return ""
    return (
        f"{arm} scores {untrained.mean:.3g} and the trained one "
        f"{trained.mean:.3g}: {trained.name} does not tell learning from none here"
    )


def tell_floors_alike(
    similarity: Measurement,
    floors: Mapping[str, Measurement],
    *,
    alpha: float = ALPHA,
) -> str:
    """Say so of every untrained arm among the floors of a similarity."""
    told = [
        tell_alike(similarity, floors[arm], better="higher", alpha=alpha, arm=arm)
        for arm in (UNTRAINED, UNTRAINED_BUT_EMBEDDINGS)
        if arm in floors
    ]
    return "; ".join(filter(None, told))


def _gain(trained: Measurement, untrained: Measurement, better: Better) -> Measurement:
    ours, theirs = trained.values, untrained.values
    gain = ours - theirs
    if better == "nearer 0":
        gain = np.sign(untrained.mean) * theirs - np.sign(trained.mean) * ours
    return replace(trained, values=gain.round(ROUNDING))
