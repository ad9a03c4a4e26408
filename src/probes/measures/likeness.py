"""Criteria of likeness to ICL, by which gradient descent gets its best chance.

"ICL is GD" says that some rate and some number of steps do it. For each claim of
likeness, the rate and the passes are those at which GD comes nearest to ICL in the
claim's own measure, on calibration queries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from probes.measurement import Array, Measurement
from probes.measures.coverage import corrections_apart
from probes.measures.distributions import (
    jensen_shannon,
    label_total_variation,
    total_variation,
)
from probes.measures.token_ranks import (
    accuracy,
    label_accuracy,
    overlap_cosine,
    token_overlap,
)
from probes.measures.update_similarity import (
    activation_cosine,
    attention_change_cosine,
    attention_rank_correlation,
    update_cosine,
)
from probes.observations.observation import Observation

Compare = Callable[..., Measurement]
"""Takes ICL and a learner; those in ``FROM_BASE`` also the model before training."""

SIMILARITIES: Mapping[str, Compare] = {
    "token_overlap": token_overlap,
    "overlap_cosine": overlap_cosine,
    "jensen_shannon": jensen_shannon,
}
"""Measures of answers that are 1 where two learners answer alike."""
DISTANCES: Mapping[str, Compare] = {
    "label_total_variation": label_total_variation,
    "corrections_apart": corrections_apart,
}
"""Measures of answers that are 0 where two learners answer alike."""
INSIDE: Mapping[str, Compare] = {
    "update_cosine": update_cosine,
    "attention_change_cosine": attention_change_cosine,
    "attention_rank_correlation": attention_rank_correlation,
    "activation_cosine": activation_cosine,
}
"""Measures of activations that are 1 where two learners are alike."""
FROM_BASE = frozenset({"corrections_apart", "update_cosine", "attention_change_cosine"})
"""Measures of changes."""
RESOLUTION = 0.005
"""A twentieth of the tenth of the way that claims of likeness leave open. The way leads
from the model before training to ICL."""


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """How far a learner is from ICL in a measure.

    Attributes:
        measure: One of ``SIMILARITIES``, ``DISTANCES`` or ``INSIDE``.
        resolution: The largest difference that does not matter, as a share of the way.
    """

    measure: str
    resolution: float = RESOLUTION
    is_gap: bool = False
    compares_with_icl: bool = True

    @property
    def name(self) -> str:
        """The name of the measure."""
        return self.measure

    @property
    def reads(self) -> Literal["answers", "activations"]:
        """What the measure compares."""
        return "activations" if self.measure in INSIDE else "answers"

    def reader(
        self, icl: Observation, base: Observation
    ) -> Callable[[Observation], Array]:
        """Return what averages the distance over each set's queries."""
        compare = {**SIMILARITIES, **DISTANCES, **INSIDE}[self.measure]
        others = (base,) if self.measure in FROM_BASE else ()

        def distance(learned: Observation) -> Array:
            far = compare(icl, learned, *others).values
            if self.measure not in DISTANCES:
                far = 1 - far
            return np.asarray(far.mean(axis=1))

        return distance

    def facts(self, icl: Observation, base: Observation) -> Mapping[str, float]:
        """Say how far the model is from ICL before training."""
        return {"before": float(self.reader(icl, base)(base).mean())}


@dataclass(frozen=True, kw_only=True)
class Equal:
    """How much more a learner has learned than ICL: 0 where it has learned as much.

    Attributes:
        quantity: "accuracy" among the labels; "accuracy over the vocabulary", where the
            likeliest of all tokens must be right; "loss", the right label's
            cross-entropy over the whole vocabulary in nats; or "change", the total
            variation between the answer and the base model's.
        resolution: The largest difference that does not matter, as a share of the way.
    """

    quantity: Literal["accuracy", "accuracy over the vocabulary", "loss", "change"]
    resolution: float = RESOLUTION
    is_gap: bool = True
    compares_with_icl: bool = True
    reads: ClassVar[Literal["answers"]] = "answers"

    @property
    def name(self) -> str:
        """Its name among a choice's facts, such as "equal accuracy"."""
        return f"equal {self.quantity}"

    def reader(
        self, icl: Observation, base: Observation
    ) -> Callable[[Observation], Array]:
        """Return what averages the quantity less ICL's over a set's queries."""
        wanted = self.amount(icl, base)
        return lambda learned: self.amount(learned, base) - wanted

    def amount(self, learned: Observation, base: Observation) -> Array:
        """Average the quantity over each set's queries, shape (n_sets,)."""
        if self.quantity == "accuracy":
            values = label_accuracy(learned).values
        elif self.quantity == "accuracy over the vocabulary":
            values = accuracy(learned).values
        elif self.quantity == "change":
            values = total_variation(learned, base).values
        else:
            values = -learned.right_log_probs
        return np.asarray(values.mean(axis=1))

    def facts(self, icl: Observation, base: Observation) -> Mapping[str, float]:
        """Give ICL's quantity, that of the model before training, and a bound.

        The bound, ``hidden``, says by how much truncated answers may hide a difference
        in change between GD and ICL. It is 0 if answers are kept whole.
        """
        wanted, before = (self.amount(answers, base).mean() for answers in (icl, base))
        hidden = 0.0
        if self.quantity == "change":  # GD's error is taken to be as large as ICL's
            change = total_variation(icl, base)
            hidden = math.sqrt(2) * (change.mean - change.at_least().mean)
        facts = {"wanted": wanted, "before": before, "hidden": hidden}
        return {name: float(value) for name, value in facts.items()}
