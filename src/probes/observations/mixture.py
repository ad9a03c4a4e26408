"""The average of a learner's answers, for instance after several orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.measurement import Array
from probes.observations.common_support import (
    UNKNOWN,
    CommonSupport,
    on_common_support,
)
from probes.observations.observation import Observation
from probes.observations.truncation import TRUNCATED_ARRAYS


def averaged(answered: Sequence[Observation]) -> Observation:
    """Average a learner's answers to the same queries: probabilities, not logits.

    The average knows the mean probability of every whole answer. What is decoded
    greedily from it is not known; its ``is_right`` is the share of right answers.

    The average of truncated answers knows the tokens that all of them know, and these
    exactly. All others are its rest.

    Args:
        answered: Text observations of one cell, at least one.

    Raises:
        ShapeError: They answered different queries.
    """
    shared, first = on_common_support(*answered), answered[0]
    logs = np.stack(shared.known)
    mixed = np.logaddexp.reduce(logs, axis=0) - np.log(len(answered))
    arrays, facts = {**first.arrays, **_whole_answers(answered)}, first.facts
    if shared.is_whole:
        return replace(first, arrays={**arrays, "log_probs": mixed})
    others = {name: arrays[name] for name in arrays if name != "log_probs"}
    truncated = dict(
        zip(TRUNCATED_ARRAYS, _truncated(shared, logs, mixed), strict=True)
    )
    return replace(
        first,
        arrays={**others, **truncated},
        facts={**facts, "n_vocab": first.n_vocab},
    )


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


def _truncated(
    shared: CommonSupport, logs: Array, mixed: Array
) -> tuple[NDArray[Any], ...]:
    """Compute the arrays of an average, in the order of ``TRUNCATED_ARRAYS``."""
    is_known = (logs > UNKNOWN).all(axis=0)
    rests, largest = np.stack(shared.rests), np.stack(shared.largest)
    moved = np.where(is_known, 0.0, np.exp(mixed)).sum(axis=-1)
    # A token that only some know has at most ``largest`` in each of the others.
    most = np.maximum(np.exp(logs), largest[..., None] * (logs <= UNKNOWN))
    most = np.where(is_known, 0.0, most.mean(axis=0)).max(axis=-1)
    tokens = shared.tokens
    if tokens is None:
        tokens = np.broadcast_to(
            np.arange(mixed.shape[-1], dtype=np.int32), mixed.shape
        )
    return (
        tokens,
        np.where(is_known, mixed, UNKNOWN),
        np.log(rests.mean(axis=0) + moved),
        np.log(np.maximum(most, largest.mean(axis=0))),
    )
