"""An observation: what a learner answered. The only thing that costs model time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.errors import ShapeError
from probes.measurement import Array


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What one learner answered to every (demonstration set × query) of a cell.

    Attributes:
        arrays: Named arrays, each with leading axes (n_sets, n_queries):
            text: ``log_probs`` (n_sets, n_queries, n_vocab) and ``gold`` (n_sets,
            n_queries), the right label's index; regression: ``predictions`` (n_sets,
            n_queries), ``sensitivities`` and ``queries`` (n_sets, n_queries, n_inputs),
            ``answers``; queries that all sets share stand there once.
        facts: Plain values: chosen settings, label tokens, sizes of updates.
        key: The content key under which it is stored.
    """

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.arrays:
            raise ShapeError(
                f"The observation has no {name!r}; it has {sorted(self.arrays)}. "
                f"Expected a measure of the right family. Use a measure that reads "
                f"what the learner answers."
            )
        return self.arrays[name]

    @property
    def log_probs(self) -> Array:
        """Next-token log-probabilities (n_sets, n_queries, n_vocab), in nats."""
        return self["log_probs"].astype(np.float64)

    @property
    def label_log_probs(self) -> Array:
        """Log-probabilities among the labels only, (n_sets, n_queries, n_labels)."""
        labels = self.log_probs[..., self.label_tokens]
        return np.asarray(labels - np.logaddexp.reduce(labels, axis=-1, keepdims=True))

    @property
    def label_tokens(self) -> list[int]:
        """The token that stands for each label."""
        return [int(t) for t in self.facts["label_tokens"]]

    @property
    def gold(self) -> NDArray[Any]:
        """The index of each query's right label, shape (n_sets, n_queries)."""
        return self["gold"]

    @property
    def n_vocab(self) -> int:
        """Tokens in the vocabulary."""
        return int(self["log_probs"].shape[-1])

    @property
    def predictions(self) -> Array:
        """Predicted answers of a regression task, shape (n_sets, n_queries)."""
        return self["predictions"].astype(np.float64)

    @property
    def sensitivities(self) -> Array:
        """Gradients of predictions by the query, (n_sets, n_queries, n_inputs)."""
        return self["sensitivities"].astype(np.float64)


def require_same_cells(*observations: Observation) -> None:
    """Check that learners answered the same queries.

    Raises:
        ShapeError: The arrays of the first differ in shape from another's.
    """
    shapes = [
        {
            name: o.arrays[name].shape
            for name in ("log_probs", "predictions")
            if name in o.arrays
        }
        for o in observations
    ]
    if any(shape != shapes[0] for shape in shapes[1:]):
        raise ShapeError(
            f"The learners answered different cells: {shapes}. Expected the same sets, "
            f"queries and vocabulary. Compare observations of one cell."
        )


def averaged(answered: Sequence[Observation]) -> Observation:
    """Average what a learner answered to the same queries: probabilities, not logits.

    Args:
        answered: Text observations of one cell, at least one, such as those after
            several orders of the same demonstrations.

    Raises:
        ShapeError: They answered other queries.
    """
    require_same_cells(*answered)
    logs = np.stack([one.log_probs for one in answered])
    mixed = np.logaddexp.reduce(logs, axis=0) - np.log(len(answered))
    arrays = {**answered[0].arrays, "log_probs": mixed}
    return replace(answered[0], arrays=arrays)
