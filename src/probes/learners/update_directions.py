"""The directions in which an update moves the outputs of attention matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from probes.learners.gradient import GradientLearner
from probes.learners.random_update import RandomUpdate
from probes.learners.shared_training import (
    Arrays,
    WeightsReader,
    observe_training,
    observe_trainings,
)
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.observation import Observation
from probes.observations.shared_work import Answer

if TYPE_CHECKING:
    from probes.models.training.trainer import Trainer
    from probes.observations.request import LearnerContext, Request

MATRICES = "lora@all"
"""The attention matrices of all layers, to which low-rank changes are added."""


@dataclass(frozen=True, kw_only=True)
class UpdateDirections:
    """Find the column space of a learner's update, matrix by matrix.

    The observation's array:

    - ``directions`` (n_sets, n_matrices, rank, d_out): orthonormal rows, the left
      singular vectors of the update's largest singular values, as many as the rank of
      a low-rank change. Matrices with fewer outputs are padded with 0.

    Its ``facts`` have ``n_outputs``, the d_out of each matrix.

    Attributes:
        of: The learner: GD, an update that reproduces ICL, or a random one.
    """

    of: GradientLearner | RandomUpdate
    needs_model: bool = True
    model_needs: ClassVar[tuple[str, ...]] = ("lora",)

    @property
    def trained(self) -> GradientLearner | None:
        """The learner that trains; None if the weights move at random."""
        return self.of if isinstance(self.of, GradientLearner) else None

    def observe(self, context: LearnerContext) -> Observation:
        """Train every set, or move its weights, and read the updates.

        Raises:
            NumericsError: Training fails.
        """
        if self.trained is not None:
            return observe_training(context)
        assert isinstance(self.of, RandomUpdate)
        reader = DirectionsOfWeights(context)
        moved = self.of.trained_weights(context, {})
        return reader.observation([reader.read_set(w) for w in moved], {})

    def work(self, request: Request) -> Request | None:
        """Name the training; see ``shared_work.SharesWork``."""
        return None if self.trained is None else self.trained.work(request)

    def observe_together(self, contexts: Sequence[LearnerContext]) -> list[Answer]:
        """Train once for all; see ``shared_work.SharesWork``."""
        return observe_trainings(contexts)

    def reader(self, context: LearnerContext, training: Trainer) -> WeightsReader:
        """Return what reads the updates for a request."""
        del training
        return DirectionsOfWeights(context)

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count the training alone; no query is asked."""
        if self.trained is None:
            return LearnerCost(observation=TokenCount())
        return self.trained.cost(sizes, facts)

    def needed(self, request: Request) -> list[Request]:
        """List the choice of rate and passes, or the learner whose size is matched."""
        return self.of.needed(request)


class DirectionsOfWeights:
    """Reads the update of every set (a ``WeightsReader``).

    Args:
        context: A request to :class:`UpdateDirections`.
    """

    def __init__(self, context: LearnerContext) -> None:
        from probes.models.weights.parameter_groups import parameters_of
        from probes.models.weights.weight_parts import parts_of

        model = context.model.model
        self.parts = parts_of(model, MATRICES)
        self.start = parameters_of(model, MATRICES)

    def read(self, weights: Mapping[str, Any], sets: Sequence[int]) -> list[Arrays]:
        """Read the updates of some sets."""
        return [
            self.read_set({name: w[place] for name, w in weights.items()})
            for place in range(len(sets))
        ]

    def read_set(self, weights: Mapping[str, Any]) -> Arrays:
        """Read the update of one set; a matrix that is not trained has no direction."""
        from probes.models.training.lora import RANK
        from probes.models.weights.column_space import leading_directions

        found = []
        for part in self.parts:
            was = part.read(self.start[part.name])
            now = part.read(weights[part.name]) if part.name in weights else was
            found.append(leading_directions(now - was, RANK).numpy())
        widest = max(rows.shape[1] for rows in found)
        padded = [np.pad(rows, ((0, 0), (0, widest - rows.shape[1]))) for rows in found]
        return {"directions": np.stack(padded).astype(np.float32)}

    def observation(
        self, of_sets: Sequence[Arrays], chosen: Mapping[str, Any]
    ) -> Observation:
        """Stack the updates of all sets, and keep how the learner was chosen."""
        n_outputs = [len(part.read(self.start[part.name])) for part in self.parts]
        return Observation(
            arrays={"directions": np.stack([one["directions"] for one in of_sets])},
            facts={**chosen, "n_outputs": n_outputs},
        )
