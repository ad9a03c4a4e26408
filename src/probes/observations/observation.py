"""An observation: a learner's answers. Only observations cost model time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.errors import ShapeError
from probes.measurement import Array

LEAST = 1e-300
"""Stands for the probability 0, whose logarithm is not finite."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One learner's answers to every (demonstration set × query) of a cell.

    Attributes:
        arrays: Named arrays, each with leading axes (n_sets, n_queries).
            Text: ``log_probs`` (n_sets, n_queries, n_vocab), or for a large vocabulary
            the arrays of ``truncation``. Closed labels: ``gold`` (n_sets, n_queries),
            the right label's index, and if first tokens do not tell the labels apart
            ``answer_log_probs`` (n_sets, n_queries, n_labels), of whole answers. Open
            answers: ``gold_tokens`` (n_sets, n_queries, n_right), the first tokens of
            the right answers, −1 for none; ``right_log_probs`` (n_sets, n_queries), the
            log-probability of giving a right answer and ending it; ``is_right``
            (n_sets, n_queries), whether greedy decoding does so. Regression:
            ``predictions`` and ``answers`` (n_sets, n_queries), ``sensitivities`` and
            ``queries`` (n_sets, n_queries, n_inputs); queries that all sets share are
            stored once.
        facts: Plain values: chosen settings, label tokens, sizes of updates.
        key: The content key under which it is stored.
        parts: The answers of which this is the average, if they are truncated.
    """

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    parts: tuple[Observation, ...] = ()

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.arrays:
            raise ShapeError(
                f"The observation has no {name!r}; it has {sorted(self.arrays)}. "
                f"Expected a measure of the right family. Use a measure that reads "
                f"arrays of this learner."
            )
        return self.arrays[name]

    @property
    def is_whole(self) -> bool:
        """Whether every token's log-probability is kept, not some only."""
        return "exact_tokens" not in self.arrays and not self.parts

    @property
    def log_probs(self) -> Array:
        """Next-token log-probabilities (n_sets, n_queries, n_vocab), in nats."""
        if not self.is_whole:
            raise ShapeError(
                f"The observation keeps some of {self.n_vocab} tokens. Expected a "
                f"measure that reads truncated answers. Sum over the vocabulary with "
                f"token_sums.sum_over_tokens."
            )
        return self["log_probs"].astype(np.float64)

    @property
    def answer_log_probs(self) -> Array:
        """Log-probabilities of the labels' answers, (n_sets, n_queries, n_labels).

        Those of first tokens if these tell the labels apart, else of whole answers.
        """
        if "answer_log_probs" in self.arrays:
            return self["answer_log_probs"].astype(np.float64)
        if self.is_whole:
            return self.log_probs[..., self.label_tokens]
        if self.parts:
            logs = np.stack([one.answer_log_probs for one in self.parts])
            return np.asarray(np.logaddexp.reduce(logs, axis=0) - np.log(len(logs)))
        wanted = np.array(self.label_tokens)[:, None]
        places = (self["exact_tokens"][..., None, :] == wanted).argmax(axis=-1)
        log_probs = np.take_along_axis(self["exact_log_probs"], places, axis=-1)
        return np.asarray(log_probs.astype(np.float64))

    @property
    def label_log_probs(self) -> Array:
        """Log-probabilities among the labels only, (n_sets, n_queries, n_labels)."""
        labels = self.answer_log_probs
        return np.asarray(labels - np.logaddexp.reduce(labels, axis=-1, keepdims=True))

    @property
    def outcome_log_probs(self) -> Array:
        """Log-probabilities of the answers that a query may have.

        Closed labels: those among the labels. Open answers: a right answer, and
        anything else. Shape (n_sets, n_queries, n_outcomes).
        """
        if self.has_labels:
            return self.label_log_probs
        right = self.right_log_probs
        other = np.log(np.maximum(-np.expm1(np.minimum(right, 0.0)), LEAST))
        return np.stack([right, other], axis=-1)

    @property
    def right_outcome(self) -> NDArray[Any]:
        """The index of the right one among the outcomes, shape (n_sets, n_queries)."""
        return self.gold if self.has_labels else np.zeros(self.shape[:2], np.int64)

    @property
    def right_log_probs(self) -> Array:
        """Log-probabilities of right answers, (n_sets, n_queries), in nats."""
        if not self.has_labels:
            return self["right_log_probs"].astype(np.float64)
        gold = self.gold[..., None]
        right = np.take_along_axis(self.answer_log_probs, gold, axis=-1)
        return np.asarray(right[..., 0])

    @property
    def is_right(self) -> NDArray[Any]:
        """Whether each answer is right, shape (n_sets, n_queries).

        Closed labels: the likeliest of the labels is the right one. Open answers:
        greedy decoding gives a right answer exactly; a share if answers are averaged.
        """
        if not self.has_labels:
            return self["is_right"]
        return np.asarray(self.label_log_probs.argmax(axis=-1) == self.gold)

    @property
    def has_labels(self) -> bool:
        """Whether answers are a closed set of labels; other text answers are open."""
        return "gold_tokens" not in self.arrays

    @property
    def label_tokens(self) -> list[int]:
        """The first token of each label's answer."""
        if "label_tokens" not in self.facts:
            raise ShapeError(
                "The observation has no labels: its answers are open words. Expected "
                "a closed set of labels. Use a measure of right answers."
            )
        return [int(t) for t in self.facts["label_tokens"]]

    @property
    def gold(self) -> NDArray[Any]:
        """The index of each query's right label, shape (n_sets, n_queries)."""
        return self["gold"]

    @property
    def gold_tokens(self) -> NDArray[Any]:
        """First tokens of right answers, (n_sets, n_queries, n_right); −1 is none."""
        if not self.has_labels:
            return self["gold_tokens"]
        first: NDArray[Any] = np.array(self.label_tokens)[self.gold]
        return first[..., None]

    @property
    def n_vocab(self) -> int:
        """Tokens in the vocabulary."""
        if not self.is_whole:
            return int(self.facts["n_vocab"])
        return int(self["log_probs"].shape[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """Sets and queries; on text also the vocabulary's size."""
        if not self.is_whole:
            right = self["gold" if self.has_labels else "gold_tokens"]
            return (*right.shape[:2], self.n_vocab)
        names = ("log_probs", "predictions")
        return next((self[n].shape for n in names if n in self.arrays), ())

    @property
    def predictions(self) -> Array:
        """Predicted answers of a regression task, shape (n_sets, n_queries)."""
        return self["predictions"].astype(np.float64)

    @property
    def sensitivities(self) -> Array:
        """Gradients of predictions by the query, (n_sets, n_queries, n_inputs)."""
        return self["sensitivities"].astype(np.float64)

    def of_set(self, index: int) -> Observation:
        """Select a text learner's answers to one demonstration set's queries."""
        one = slice(index, index + 1)
        arrays = {name: array[one] for name, array in self.arrays.items()}
        return replace(self, arrays=arrays)


def require_same_cells(*observations: Observation) -> None:
    """Check that learners answered the same queries.

    Raises:
        ShapeError: The first answers differ in shape from others.
    """
    shapes = [answered.shape for answered in observations]
    if any(shape != shapes[0] for shape in shapes[1:]):
        raise ShapeError(
            f"The learners answered different cells: {shapes}. Expected the same sets, "
            f"queries and vocabulary. Compare observations of one cell."
        )
