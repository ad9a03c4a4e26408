"""What the rate and the passes of gradient descent are chosen by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from probes.measurement import Array

if TYPE_CHECKING:
    from probes.observations.observation import Observation


class Criterion(Protocol):
    """A quantity that is smallest at the rate and the passes to be chosen.

    A criterion is a frozen dataclass, and is read on calibration queries only.
    """

    @property
    def name(self) -> str:
        """Its name among the facts of a choice."""

    @property
    def resolution(self) -> float:
        """The largest difference of means that does not matter."""


@dataclass(frozen=True, kw_only=True)
class LabelLoss:
    """The cross-entropy of the right answer's tokens in nats: best at the task.

    Training measures it itself (see ``GradientBackend.losses``).
    """

    name: str = "loss"
    resolution: float = 0.0


LABEL_LOSS = LabelLoss()


@runtime_checkable
class ComparesWithICL(Criterion, Protocol):
    """A criterion that compares answers; see ``probes.measures.likeness``."""

    @property
    def is_gap(self) -> bool:
        """Whether values are signed gaps, whose mean is to be as near 0 as possible."""

    def values(
        self, learned: Observation, icl: Observation, base: Observation
    ) -> Array:
        """Compare a learner's answers with ICL's.

        Args:
            learned: The learner's answers.
            icl: ICL's answers to the same queries after the same demonstrations.
            base: The model's answers to the same queries alone.

        Returns:
            The mean over each set's queries, shape (n_sets,).
        """

    def facts(self, icl: Observation, base: Observation) -> Mapping[str, float]:
        """Say what else a report of the choice needs; often nothing."""
