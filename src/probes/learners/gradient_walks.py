"""Trainings of a cell's first demonstration sets, read on calibration queries."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from probes.errors import NumericsError
from probes.learners.criterion import ComparesWithICL, Criterion
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
        from probes.models.training.label_batches import encode_label_batches
        from probes.models.training.walks import Walks

        self.context, self.criteria = context, learner.criteria
        self.prompts = context.prompts()
        task = self.prompts.task
        demonstrations = task.demonstrations[: learner.effort.n_sets]
        self.queries = task.queries[: learner.effort.n_sets]
        self.n_sets = len(demonstrations)
        self.trainer = learner.prepare(context, self.prompts, demonstrations)
        batches = encode_label_batches(context.model, self.prompts, self.queries)
        self.batches = self.trainer.backend.record_frozen_layers(batches)
        self.walks = Walks(self.trainer)
        self.points: dict[Place, Array] = {}
        self.failures: list[str] = []
        self._passes: dict[float, int] = {}
        if any(isinstance(c, ComparesWithICL) for c in self.criteria):
            self.icl, self.base = (
                of_sets(context.observe(other), range(self.n_sets))
                for other in (InContext(), Base())
            )

    def scale(self) -> float:
        """Find a rate near the largest useful one: the sets' mean of Polyak's."""
        runs = trials_of(self.context, (0.0,), self.n_sets)
        rates = [self.trainer.loop.polyak_rate(run) for run in runs]
        return math.exp(math.fsum(map(math.log, rates)) / len(rates))

    @cached_property
    def starts(self) -> list[float]:
        """The criteria before training."""
        return list(map(self._start, range(len(self.criteria))))

    def _start(self, column: int) -> float:
        criterion = self.criteria[column]
        if isinstance(criterion, ComparesWithICL):
            values = criterion.values(self.base, self.icl, self.base)
        else:
            untouched = {k: p.detach()[None] for k, p in self.trainer.start.items()}
            each = [self._losses(untouched, [index]) for index in range(self.n_sets)]
            values = np.concatenate(each)
        return self.mean(values, column)

    def facts(self, column: int) -> Mapping[str, float]:
        """Say what a report of a choice needs besides the criterion's curves."""
        criterion = self.criteria[column]
        if isinstance(criterion, ComparesWithICL):
            return criterion.facts(self.icl, self.base)
        return {}

    def walk(self, rate: float, passes: int) -> None:
        """Train every set at a rate up to a number of passes, and read on the way."""
        done = self._passes.get(rate, 0)
        places = [n for n in half_octaves(passes) if n > done]
        if not places:
            return
        for n in places:
            failed = np.full((self.n_sets, len(self.criteria)), np.inf)
            self.points[rate, n] = failed
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
        return abs(mean) if getattr(self.criteria[column], "is_gap", False) else mean

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
        values = self._losses(weights, sets), self._comparisons(weights, sets)
        for column, criterion in enumerate(self.criteria):
            compares = isinstance(criterion, ComparesWithICL)
            of_sets = values[1][column] if compares else values[0]
            at[sets, column] = np.where(np.isfinite(of_sets), of_sets, np.inf)

    def _losses(self, weights: Mapping[str, Any], sets: Sequence[int]) -> Array:
        import torch

        if all(isinstance(c, ComparesWithICL) for c in self.criteria):
            return np.zeros(len(sets))
        with torch.no_grad():
            where = torch.tensor(sets, device=self.batches.ids.device)
            losses = self.trainer.backend.losses(dict(weights), self.batches, where)
            return np.array([float(loss) for loss in losses])

    def _comparisons(
        self, weights: Mapping[str, Any], sets: Sequence[int]
    ) -> dict[int, Array]:
        """Compare answers with ICL's, by the criterion's place."""
        columns = [
            (column, criterion)
            for column, criterion in enumerate(self.criteria)
            if isinstance(criterion, ComparesWithICL)
        ]
        values = {column: np.full(len(sets), np.inf) for column, _ in columns}
        if not columns:
            return values
        prompts = self._asking(sets)
        with contextlib.suppress(NumericsError):  # diverged
            answers = ask_stack(
                self.context.model, prompts, weights, list(range(len(sets)))
            )
            for i, index in enumerate(sets):
                own = {name: array[i : i + 1] for name, array in answers.items()}
                learned = text_observation(self._asking([index]), own, first_set=index)
                icl, base = (o.of_set(index) for o in (self.icl, self.base))
                for column, criterion in columns:
                    values[column][i] = criterion.values(learned, icl, base)[0]
        return values

    def _asking(self, sets: Sequence[int]) -> EncodedPrompts:
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
