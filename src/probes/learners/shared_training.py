"""Trains once for several requests, which read the weights after different passes."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from probes.errors import ProbesError, StoreError
from probes.learners.training_trials import trials_of
from probes.observations.observation import Observation
from probes.observations.shared_work import Answer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from probes.data.prompt_encoding import EncodedPrompts
    from probes.data.text_tasks import Example
    from probes.models.training.run_groups import Runs
    from probes.models.training.trainer import Trainer
    from probes.models.training.training_runs import TrainedWeights
    from probes.observations.request import LearnerContext

Arrays = Mapping[str, "NDArray[Any]"]


class WeightsReader(Protocol):
    """What is read of trained weights, for one request."""

    def read(self, weights: Mapping[str, Any], sets: Sequence[int]) -> Sequence[Arrays]:
        """Read the weights of some demonstration sets.

        Args:
            weights: Stacked tensors by name, with one member for each of the sets.
            sets: Indices of the sets.

        Returns:
            Arrays for each of the sets.
        """

    def observation(
        self, of_sets: Sequence[Arrays], chosen: Mapping[str, Any]
    ) -> Observation:
        """Put together what was read of all sets, with the chosen settings."""


class Trains(Protocol):
    """What trains: a ``gradient.GradientLearner``."""

    def settings_in(self, context: LearnerContext) -> dict[str, Any]:
        """Give the rate and the passes, and how they were chosen."""

    def prepare(
        self,
        context: LearnerContext,
        prompts: EncodedPrompts,
        sets: Sequence[Sequence[Example]],
    ) -> Trainer:
        """Set up the training on sets of demonstrations."""


@runtime_checkable
class MovesWeights(Protocol):
    """A learner that answers with other weights than the model's."""

    def trained_weights(
        self, context: LearnerContext, facts: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Yield, for each demonstration set, the weights with which it answers.

        Args:
            context: The cell.
            facts: Those of the learner's observation, such as the chosen rate.
        """


@runtime_checkable
class ReadsTraining(Protocol):
    """A learner whose answers follow from the weights that gradient descent trains."""

    @property
    def trained(self) -> Trains | None:
        """The learner that trains; None if there is none."""

    def reader(self, context: LearnerContext, training: Trainer) -> WeightsReader:
        """Return what reads the weights for a request."""


def observe_training(context: LearnerContext) -> Observation:
    """Answer a single request.

    Raises:
        NumericsError: Every rate diverges, or the update vanishes in rounding.
    """
    (answer,) = observe_trainings([context])
    if isinstance(answer, ProbesError):
        raise answer
    return answer


def observe_trainings(contexts: Sequence[LearnerContext]) -> list[Answer]:
    """Train every demonstration set once at each rate, and answer every request.

    Args:
        contexts: Of learners that read the same training.
    """
    first = contexts[0]
    trained, prompts = _trained(first), first.prompts()
    training = trained.prepare(first, prompts, prompts.task.demonstrations)
    readings = [_Reading(context, training) for context in contexts]
    by_rate: dict[float, list[_Reading]] = defaultdict(list)
    for reading in readings:
        if reading.error is None:
            by_rate[reading.chosen["rate"]].append(reading)
    for rate, at_rate in by_rate.items():
        _walk(training, rate, at_rate)
    return [reading.answer() for reading in readings]


def _walk(training: Trainer, rate: float, readings: Sequence[_Reading]) -> None:
    """Train at one rate, and read after each chosen number of passes."""
    context, reads = readings[0].context, threading.Lock()
    places = sorted({reading.passes for reading in readings})
    for reading in readings:
        earlier = [n for n in places if n < reading.passes]
        is_first = next(r for r in readings if r.passes == reading.passes) is reading
        reading.own_passes = (reading.passes - max(earlier, default=0)) * is_first

    def read(runs: Runs, passes: int, trained: TrainedWeights) -> None:
        with reads:  # a model answers with one set's weights at a time
            for reading in readings:
                if reading.passes == passes:
                    reading.read(trained, [run.index for run in runs])

    n_sets = context.request.n_sets
    for group in training.groups(trials_of(context, (rate,), n_sets)):
        context.report(f"set {group[0].index + 1} of {n_sets}, {places[-1]} passes")
        training.walk(group, places, read)


def _trained(context: LearnerContext) -> Trains:
    """Give the learner that trains for a request."""
    trained = cast("ReadsTraining", context.request.learner).trained
    assert trained is not None
    return trained


class _Reading:
    """What one request reads of a training."""

    def __init__(self, context: LearnerContext, training: Trainer) -> None:
        self.context, self.own_passes = context, 0
        self._moved = training.moved
        self.error: ProbesError | None = None
        self._of_sets: dict[int, Arrays] = {}
        learner = cast("ReadsTraining", context.request.learner)
        with self._noting_errors():
            self.chosen = _trained(context).settings_in(context)
            self._reader: WeightsReader = learner.reader(context, training)

    @property
    def passes(self) -> int:
        """After how many passes the weights are read."""
        return int(self.chosen["passes"])

    def read(self, trained: TrainedWeights, sets: Sequence[int]) -> None:
        """Read the weights of some sets."""
        if self.error is None:
            with self._noting_errors():
                trained.require_usable()
                read = self._reader.read(trained.weights, sets)
                self._of_sets.update(zip(sets, read, strict=True))

    def answer(self) -> Answer:
        """Return the observation, or the first error."""
        if self.error is None:
            with self._noting_errors():
                of_sets = [self._of_sets[index] for index in sorted(self._of_sets)]
                found = self._reader.observation(of_sets, self.chosen)
                facts = {**found.facts, "own_passes": self.own_passes}
                facts["moved"] = self._moved
                return replace(found, facts=facts)
        assert self.error is not None
        return self.error

    @contextlib.contextmanager
    def _noting_errors(self) -> Iterator[None]:
        try:
            yield
        except StoreError:
            raise
        except ProbesError as error:
            self.error = error
