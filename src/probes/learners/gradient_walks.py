"""Trainings of a cell's first demonstration sets, read on calibration queries."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from probes.errors import NumericsError
from probes.learners.criterion import Criterion
from probes.learners.in_context import Base, InContext, ask_stack, text_observation
from probes.learners.search_effort import SearchEffort
from probes.learners.training_trials import trials_of
from probes.measurement import Array
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.data.prompt_encoding import EncodedPrompts
    from probes.data.text_tasks import Example
    from probes.models.training.run_groups import Runs
    from probes.models.training.trainer import Trainer
    from probes.models.training.training_runs import TrainedWeights
    from probes.observations.request import LearnerContext

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
        self.queries = task.queries[: learner.effort.n_sets]
        self.n_sets = len(demonstrations)
        self.trainer = learner.prepare(context, self.prompts, demonstrations)
        self.walks = Walks(self.trainer)
        self.points: dict[Place, Array] = {}
        self.failures: list[str] = []
        self._passes: dict[float, int] = {}
        self._asking = cache(self._asked)  # what prompts know of the model is kept
        base = context.observe(Base())
        compares = any(c.compares_with_icl for c in self.criteria)
        icl = context.observe(InContext()) if compares else base
        self.icl, self.base = (of_sets(o, range(self.n_sets)) for o in (icl, base))
        self._readers = [
            [c.reader(self.icl.of_set(i), self.base.of_set(i)) for c in self.criteria]
            for i in range(self.n_sets)
        ]

    def scale(self) -> float:
        """Find a rate near the largest useful one: the sets' mean of Polyak's."""
        runs = trials_of(self.context, (0.0,), self.n_sets)
        rates = [self.trainer.loop.polyak_rate(run) for run in runs]
        return math.exp(math.fsum(map(math.log, rates)) / len(rates))

    @cached_property
    def starts(self) -> list[float]:
        """The criteria before training."""
        of_sets = [self._values(i, self.base.of_set(i)) for i in range(self.n_sets)]
        return list(map(self.mean, np.transpose(of_sets), range(len(self.criteria))))

    def facts(self, column: int) -> Mapping[str, float]:
        """Say what a report of a choice needs besides the criterion's curves."""
        return self.criteria[column].facts(self.icl, self.base)

    def walk(self, rate: float, passes: int) -> None:
        """Train every set at a rate up to a number of passes, and read on the way."""
        done = self._passes.get(rate, 0)
        places = [n for n in half_octaves(passes) if n > done]
        if not places:
            return
        for n in places:
            failed = np.full((self.n_sets, len(self.criteria)), np.inf)
            self.points[rate, n] = failed
        self.context.report(f"rate {rate:g}, {passes} passes")
        runs = trials_of(self.context, (rate,), self.n_sets)
        self.walks.advance(runs, places, self._read)
        self._passes[rate] = passes

    @property
    def rates(self) -> list[float]:
        """The rates walked so far."""
        return list(self._passes)

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
        usable = [i for i, failure in enumerate(trained.failures) if not failure]
        self.failures += filter(None, trained.failures)
        if not usable:
            return
        weights = trained.weights
        if len(usable) < len(runs):  # else there is nothing to copy
            weights = {name: w[usable] for name, w in weights.items()}
        sets = [runs[i].index for i in usable]
        at = self.points[runs[0].rate, passes]
        with contextlib.suppress(NumericsError):  # diverged
            model, prompts = self.context.model, self._asking(tuple(sets))
            answers = ask_stack(model, prompts, weights, list(range(len(sets))))
            for i, index in enumerate(sets):
                own = {name: array[i : i + 1] for name, array in answers.items()}
                asked = self._asking((index,))
                learned = text_observation(asked, own, first_set=index)
                at[index] = self._values(index, learned)

    def _values(self, index: int, learned: Observation) -> Array:
        """Read every criterion of the answers to one set's queries, (n_criteria,)."""
        values = np.array([read(learned)[0] for read in self._readers[index]])
        return np.where(np.isfinite(values), values, np.inf)

    def _asked(self, sets: tuple[int, ...]) -> EncodedPrompts:
        """Give the prompts of some sets' calibration queries."""
        queries = tuple(self.queries[index] for index in sets)
        return replace(self.prompts, task=replace(self.prompts.task, queries=queries))


def half_octaves(most: int) -> list[int]:
    """List 1, 2, 3, 4, 6, 8, 11, 16, …, the powers of √2 up to a number, and it."""
    powers = {round(2 ** (k / 2)) for k in range(2 * most.bit_length())}
    return sorted({n for n in powers if n < most} | {most})


def of_sets(observation: Observation, sets: Sequence[int]) -> Observation:
    """Select a text learner's answers to some demonstration sets' queries."""
    rows = list(sets)
    arrays = {name: array[rows] for name, array in observation.arrays.items()}
    return replace(observation, arrays=arrays)
