"""The average of a learner's answers, for instance after several orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.observations.observation import Observation, require_same_cells


def averaged(answered: Sequence[Observation]) -> Observation:
    """Average a learner's answers to the same queries: probabilities, not logits.

    The average of truncated answers keeps them as its parts. The average knows the mean
    probability of every whole answer. What is decoded greedily from it is not known;
    its ``is_right`` is the share of right answers.

    Args:
        answered: Text observations of one cell, at least one.

    Raises:
        ShapeError: They answered different queries.
    """
    require_same_cells(*answered)
    first = answered[0]
    if not first.is_whole:
        gold = {n: a for n, a in first.arrays.items() if n in ("gold", "gold_tokens")}
        arrays = {**gold, **_whole_answers(answered)}
        return replace(first, arrays=arrays, parts=tuple(answered))
    logs = np.stack([one.log_probs for one in answered])
    mixed = np.logaddexp.reduce(logs, axis=0) - np.log(len(answered))
    arrays = {**first.arrays, "log_probs": mixed, **_whole_answers(answered)}
    return replace(first, arrays=arrays)


def _whole_answers(answered: Sequence[Observation]) -> dict[str, NDArray[Any]]:
    """Average what is known of whole answers."""
    means: dict[str, NDArray[Any]] = {}
    for name in ("answer_log_probs", "right_log_probs"):
        if name in answered[0].arrays:
            logs = np.stack([one[name] for one in answered])
            means[name] = np.logaddexp.reduce(logs, axis=0) - np.log(len(answered))
    if "is_right" in answered[0].arrays:
        means["is_right"] = np.mean([one["is_right"] for one in answered], axis=0)
    return means
