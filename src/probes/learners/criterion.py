"""What the rate and the passes of gradient descent are chosen by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np

from probes.measurement import Array

if TYPE_CHECKING:
    from probes.observations.observation import Observation

Read = Callable[["Observation"], Array]
"""Reads a criterion of a learner's answers: the mean over each set's queries, shape
(n_sets,)."""

Reads = Literal["answers", "activations"]
"""What a criterion is read of."""


class Criterion(Protocol):
    """A quantity that is smallest at the rate and the passes to be chosen.

    A criterion is a frozen dataclass, and is read on calibration queries only.
    """

    @property
    def name(self) -> str:
        """Its name among the facts of a choice."""

    @property
    def resolution(self) -> float:
        """The largest difference of means that does not matter.

        It is a share of the mean before training.
        """

    @property
    def is_gap(self) -> bool:
        """Whether values are signed gaps, whose mean is to be as near 0 as possible."""

    @property
    def compares_with_icl(self) -> bool:
        """Whether it reads ICL's answers; see ``probes.measures.likeness``."""

    @property
    def reads(self) -> Reads:
        """Whether it reads answers, or activations (see ``learners.activations``)."""

    def reader(self, icl: Observation, base: Observation) -> Read:
        """Return what reads the criterion of a learner's answers, or its activations.

        Args:
            icl: ICL's answers to the same queries after the same demonstrations. A
                criterion that does not compare with ICL ignores them.
            base: The model's answers to the same queries alone.
        """

    def facts(self, icl: Observation, base: Observation) -> Mapping[str, float]:
        """Say what else a report of the choice needs; often nothing."""


@dataclass(frozen=True, kw_only=True)
class LabelLoss:
    """The cross-entropy of right answers over the vocabulary in nats: best at the task.

    It is that of the label's first token, or of the whole answer where whole answers
    are scored.
    """

    name: str = "loss"
    resolution: float = 0.0
    is_gap: bool = False
    compares_with_icl: bool = False
    reads: ClassVar[Reads] = "answers"

    def reader(self, icl: Observation, base: Observation) -> Read:
        """Return what averages the loss over each set's queries."""
        del icl, base
        return lambda learned: np.asarray(-learned.right_log_probs.mean(axis=1))

    def facts(self, icl: Observation, base: Observation) -> Mapping[str, float]:
        """Say nothing more."""
        del icl, base
        return {}


LABEL_LOSS = LabelLoss()
