"""The average of a learner's answers, for instance after several orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from probes.observations.observation import Observation, require_same_cells


def averaged(answered: Sequence[Observation]) -> Observation:
    """Average a learner's answers to the same queries: probabilities, not logits.

    The average of truncated answers keeps them as its parts.

    Args:
        answered: Text observations of one cell, at least one.

    Raises:
        ShapeError: They answered different queries.
    """
    require_same_cells(*answered)
    first = answered[0]
    if not first.is_whole:
        arrays = {"gold": first.gold}
        return replace(first, arrays=arrays, parts=tuple(answered))
    logs = np.stack([one.log_probs for one in answered])
    mixed = np.logaddexp.reduce(logs, axis=0) - np.log(len(answered))
    return replace(first, arrays={**first.arrays, "log_probs": mixed})
