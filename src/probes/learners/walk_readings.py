"""What is observed of a learner on the way of a training: answers, or activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from probes.learners.activations import Activations
from probes.learners.activations_of_weights import ActivationsOfWeights
from probes.learners.criterion import Reads
from probes.learners.in_context import Base, InContext, ask_stack, text_observation
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.observations.request import Learner, LearnerContext


class WalkReading(Protocol):
    """Observes trained weights as it observes ICL and the model before training.

    Attributes:
        icl: ICL, or the model before training if nothing is compared with ICL.
        base: The model before training.
    """

    icl: Observation
    base: Observation

    def read(
        self, weights: Mapping[str, Any], sets: Sequence[int]
    ) -> list[Observation]:
        """Observe the queries of some sets, each with its own weights.

        Args:
            weights: Stacked tensors by name, with one member for each of the sets.
            sets: Indices of the sets.
        """


class AnswersOnTheWay:
    """Reads answers to calibration queries (a ``WalkReading``).

    Args:
        context: A request for calibration queries.
        compares: Whether ICL is asked too.
    """

    def __init__(self, context: LearnerContext, *, compares: bool) -> None:
        self.context, self._prompts = context, context.prompts()
        self._asking = cache(self._asked)  # what prompts know of the model is kept
        self.icl, self.base = _observed(context, "answers", compares)

    def read(
        self, weights: Mapping[str, Any], sets: Sequence[int]
    ) -> list[Observation]:
        """Ask the queries of some sets, each with its own weights."""
        places = list(range(len(sets)))
        prompts = self._asking(tuple(sets))
        answers = ask_stack(self.context.model, prompts, weights, places)
        found = []
        for place, index in zip(places, sets, strict=True):
            own = {name: array[place : place + 1] for name, array in answers.items()}
            asked = self._asking((index,))
            found.append(text_observation(asked, own, first_set=index))
        return found

    def _asked(self, sets: tuple[int, ...]) -> EncodedPrompts:
        """Give the prompts of some sets' calibration queries."""
        task = self._prompts.task
        queries = tuple(task.queries[index] for index in sets)
        return replace(self._prompts, task=replace(task, queries=queries))


class ActivationsOnTheWay:
    """Records self-attention on calibration queries (a ``WalkReading``).

    Args:
        context: A request for calibration queries.
        compares: Whether ICL is recorded too.
    """

    def __init__(self, context: LearnerContext, *, compares: bool) -> None:
        self.icl, self.base = _observed(context, "activations", compares)
        self._recorder = ActivationsOfWeights(context, is_icl=False)

    def read(
        self, weights: Mapping[str, Any], sets: Sequence[int]
    ) -> list[Observation]:
        """Record the prompts of some sets, each with its own weights."""
        recorded = self._recorder.read(weights, sets)
        return [self._recorder.observation([one], {}) for one in recorded]


def learners_compared(reads: Reads, *, compares: bool) -> list[Learner]:
    """List what a reading observes besides: maybe ICL, then the model alone."""
    alone: Learner = Base()
    others: list[Learner] = [InContext(), alone] if compares else [alone]
    return others if reads == "answers" else [Activations(of=one) for one in others]


def _observed(
    context: LearnerContext, reads: Reads, compares: bool
) -> tuple[Observation, Observation]:
    """Observe ICL, or the model alone in its place, and the model alone."""
    observed = [
        context.observe(one) for one in learners_compared(reads, compares=compares)
    ]
    return observed[0], observed[-1]


READINGS: Mapping[Reads, type[AnswersOnTheWay | ActivationsOnTheWay]] = {
    "answers": AnswersOnTheWay,
    "activations": ActivationsOnTheWay,
}
"""How what a criterion reads is observed."""
