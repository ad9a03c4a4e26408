"""Trainings of a cell's first demonstration sets, read on calibration queries."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from probes.errors import NumericsError
from probes.learners.criterion import Criterion, Read, Reads
from probes.learners.search_effort import SearchEffort
from probes.learners.training_trials import trials_of
from probes.learners.walk_readings import READINGS
from probes.measurement import Array
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.data.text_tasks import Example
    from probes.models.training.run_groups import Runs
    from probes.models.training.trainer import Trainer
    from probes.models.training.training_runs import TrainedWeights
    from probes.observations.request import LearnerContext

FAILED = 1e30
"""Instead of infinity, which no observation may hold."""
Place = tuple[float, int]
"""A rate and a number of passes."""


class Trainable(Protocol):
    """What is walked: a ``gradient.GradientLearner``."""

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """What is read on the way."""

    @property
    def effort(self) -> SearchEffort:
        """How many demonstration sets are trained."""

    def prepare(
        self,
        context: LearnerContext,
        prompts: EncodedPrompts,
        sets: Sequence[Sequence[Example]],
    ) -> Trainer:
        """Set up the training on sets of demonstrations."""


class GradientWalks:
    """Trains the first demonstration sets at any rate, and compares them on the way.

    Args:
        context: A request for calibration queries.
        learner: What is trained, and what is read.

    Attributes:
        points: The criteria's values at each place where they were read, shape
            (n_sets, n_criteria). They are infinite where training has failed.
    """

    def __init__(self, context: LearnerContext, learner: Trainable) -> None:
        from probes.models.training.walks import Walks

        self.context, self.criteria = context, learner.criteria
        self.prompts = context.prompts()
        task = self.prompts.task
        demonstrations = task.demonstrations[: learner.effort.n_sets]
        self.n_sets = len(demonstrations)
        self.trainer = learner.prepare(context, self.prompts, demonstrations)
        self.walks = Walks(self.trainer)
        self.points: dict[Place, Array] = {}
        self.failures: list[str] = []
        self._passes: dict[float, int] = {}
        self._moved: set[float] = set()
        self._reading = threading.Lock()  # a model answers with one set's weights
        self._resume(context.progress())
        self.readings = {
            reads: READINGS[reads](context, compares=compares)
            for reads, compares in comparisons(self.criteria).items()
        }
        self._readers = [
            [self._reader(c, slice(i, i + 1)) for c in self.criteria]
            for i in range(self.n_sets)
        ]

    def _reader(self, criterion: Criterion, sets: slice) -> Read:
        """Return what reads a criterion of some sets' answers or activations."""
        return criterion.reader(*self._compared(criterion, sets))

    def _compared(
        self, criterion: Criterion, sets: slice
    ) -> tuple[Observation, Observation]:
        """Give ICL and the model alone on some sets, as a criterion reads them."""
        reading = self.readings[criterion.reads]
        return of_sets(reading.icl, sets), of_sets(reading.base, sets)

    def scale(self) -> float:
        """Find a rate near the largest useful one: the sets' mean of Polyak's."""
        runs = trials_of(self.context, (0.0,), self.n_sets)
        rates = [self.trainer.loop.polyak_rate(run) for run in runs]
        return math.exp(math.fsum(map(math.log, rates)) / len(rates))

    @cached_property
    def starts(self) -> list[float]:
        """The criteria before training."""
        all_sets = slice(self.n_sets)
        values = [
            self._reader(c, all_sets)(of_sets(self.readings[c.reads].base, all_sets))
            for c in self.criteria
        ]
        return [self.mean(value, column) for column, value in enumerate(values)]

    def facts(self, column: int) -> Mapping[str, float]:
        """Say what a report of a choice needs besides the criterion's curves."""
        criterion = self.criteria[column]
        return criterion.facts(*self._compared(criterion, slice(self.n_sets)))

    def walk(self, rate: float, passes: int, read_at: Sequence[int] = ()) -> None:
        """Train every set at a rate up to a number of passes, and read on the way.

        Args:
            rate: The rate.
            passes: The number of passes.
            read_at: Where to read, ascending; empty for :func:`half_octaves`.
        """
        done = self._passes.get(rate, 0)
        places = [n for n in read_at or half_octaves(passes) if n > done]
        if not places:
            return
        for n in places:
            failed = np.full((self.n_sets, len(self.criteria)), np.inf)
            self.points[rate, n] = failed
        self.context.report(f"rate {rate:g}, {passes} passes")
        runs = trials_of(self.context, (rate,), self.n_sets)
        self.walks.advance(runs, places, self._read)
        self._passes[rate] = passes
        self.context.keep(self.readings_so_far())

    def readings_so_far(self) -> Observation:
        """Give the points of all places, and what else an interrupted search needs.

        Returns:
            ``points``, shape (n_sets, n_places, n_criteria), ``FAILED`` where training
            has failed. Its facts name the places.
        """
        places = sorted(self.points)
        points = np.stack([self.points[place] for place in places], axis=1)
        return Observation(
            arrays={"points": np.nan_to_num(points, posinf=FAILED)},
            facts={
                "places": [list(place) for place in places],
                "walked": [list(walked) for walked in self._passes.items()],
                "moved": sorted(self._moved),
                "failures": self.failures,
            },
        )

    def _resume(self, earlier: Observation | None) -> None:
        """Take up the readings of an interrupted search.

        Its weights are not kept. A rate that is walked on is trained again from the
        start, but read only at places that are new.
        """
        if earlier is None:
            return
        points, facts = earlier["points"], earlier.facts
        points = np.where(points < FAILED, points, np.inf)
        for at, (rate, passes) in enumerate(facts["places"]):
            self.points[rate, passes] = points[:, at]
        self._passes = {rate: passes for rate, passes in facts["walked"]}
        self._moved, self.failures = set(facts["moved"]), list(facts["failures"])

    @property
    def rates(self) -> list[float]:
        """The rates walked so far."""
        return list(self._passes)

    def has_vanished(self, rate: float) -> bool:
        """Say whether a rate has been walked and has changed no weight of any set."""
        return rate in self._passes and rate not in self._moved

    def curve(self, rate: float, column: int) -> dict[int, float]:
        """Give the mean of a criterion over the sets, by the number of passes."""
        return {
            n: self.mean(points[:, column], column)
            for (at, n), points in self.points.items()
            if at == rate
        }

    def mean(self, values: Array, column: int) -> float:
        """Average a criterion over the sets; of signed gaps, the size of the mean."""
        mean = float(np.mean(values))
        return abs(mean) if self.criteria[column].is_gap else mean

    def _read(self, runs: Runs, passes: int, trained: TrainedWeights) -> None:
        """Read every criterion of the runs that have not failed."""
        rate = runs[0].rate
        usable = [i for i, failure in enumerate(trained.failures) if not failure]
        self.failures += filter(None, trained.failures)
        if usable or not self._stand_still(trained.weights):
            self._moved.add(rate)
        if not usable:
            return
        weights = trained.weights
        if len(usable) < len(runs):  # else there is nothing to copy
            weights = {name: w[usable] for name, w in weights.items()}
        sets = [runs[i].index for i in usable]
        at = self.points[rate, passes]
        with self._reading, contextlib.suppress(NumericsError):  # diverged
            read = {k: one.read(weights, sets) for k, one in self.readings.items()}
            for place, index in enumerate(sets):
                of_set = {reads: learned[place] for reads, learned in read.items()}
                at[index] = self._values(index, of_set)

    def _stand_still(self, weights: Mapping[str, Any]) -> bool:
        """Check that the weights of all runs are the model's own."""
        start = self.trainer.start
        return all(bool((weights[name] == was).all()) for name, was in start.items())

    def _values(self, index: int, learned: Mapping[Reads, Observation]) -> Array:
        """Read every criterion of one set's queries, shape (n_criteria,)."""
        readers = zip(self.criteria, self._readers[index], strict=True)
        with np.errstate(all="ignore"):  # activations may have diverged
            values = np.array([read(learned[c.reads])[0] for c, read in readers])
        return np.where(np.isfinite(values), values, np.inf)


def comparisons(criteria: Sequence[Criterion]) -> dict[Reads, bool]:
    """Say what criteria read, and for each whether any compares it with ICL's."""
    compared: dict[Reads, bool] = {}
    for one in criteria:
        before = compared.get(one.reads, False)
        compared[one.reads] = before or one.compares_with_icl
    return compared


def half_octaves(most: int) -> list[int]:
    """List 1, 2, 3, 4, 6, 8, 11, 16, …, the powers of √2 up to a number, and it."""
    powers = {round(2 ** (k / 2)) for k in range(2 * most.bit_length())}
    return sorted({n for n in powers if n < most} | {most})


def of_sets(observation: Observation, sets: slice) -> Observation:
    """Select a text learner's answers to some demonstration sets' queries."""
    arrays = {name: array[sets] for name, array in observation.arrays.items()}
    return replace(observation, arrays=arrays)
