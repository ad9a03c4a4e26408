"""The average of a learner's answers, such as those after several orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.measurement import Array
from probes.observations.common_support import NOTHING, Common, common
from probes.observations.observation import Observation
from probes.observations.truncation import PARTS


def averaged(answered: Sequence[Observation]) -> Observation:
    """Average what a learner answered to the same queries: probabilities, not logits.

    Where answers are kept in part, the average knows the tokens that all of them know,
    and these exactly; all others are its rest.

    Args:
        answered: Text observations of one cell, at least one.

    Raises:
        ShapeError: They answered other queries.
    """
    shared, first = common(*answered), answered[0]
    logs = np.stack(shared.known)
    mixed = np.logaddexp.reduce(logs, axis=0) - np.log(len(answered))
    arrays, facts = first.arrays, first.facts
    if shared.is_whole:
        return replace(first, arrays={**arrays, "log_probs": mixed})
    others = {name: arrays[name] for name in arrays if name != "log_probs"}
    parts = dict(zip(PARTS, _parts(shared, logs, mixed), strict=True))
    told = {**facts, "n_vocab": first.n_vocab}
    return replace(first, arrays={**others, **parts}, facts=told)


def _parts(shared: Common, logs: Array, mixed: Array) -> tuple[NDArray[Any], ...]:
    """Give what is kept of an average, in the order of ``PARTS``."""
    is_known = (logs > NOTHING).all(axis=0)
    rests, largest = np.stack(shared.rests), np.stack(shared.largest)
    moved = np.where(is_known, 0.0, np.exp(mixed)).sum(axis=-1)
    # A token that only some know has at most so much for each of the others.
    most = np.maximum(np.exp(logs), largest[..., None] * (logs <= NOTHING))
    most = np.where(is_known, 0.0, most.mean(axis=0)).max(axis=-1)
    tokens = shared.tokens
    if tokens is None:
        tokens = np.broadcast_to(
            np.arange(mixed.shape[-1], dtype=np.int32), mixed.shape
        )
    return (
        tokens,
        np.where(is_known, mixed, NOTHING),
        np.log(rests.mean(axis=0) + moved),
        np.log(np.maximum(most, largest.mean(axis=0))),
    )
