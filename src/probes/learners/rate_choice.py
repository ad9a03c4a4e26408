"""The choice of gradient descent's rate and passes, by every criterion of a cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from probes.errors import NumericsError
from probes.learners.given_places import best_of_given
from probes.learners.gradient_walks import GradientWalks, Trainable, comparisons
from probes.learners.rate_lattice import Curve, step_of
from probes.learners.rate_search import Optimum, RateSearch
from probes.learners.search_effort import SearchLimits
from probes.learners.walk_readings import learners_compared
from probes.observations.learner_cost import LearnerCost, PromptSizes, TokenCount
from probes.observations.observation import Observation

if TYPE_CHECKING:
    from probes.observations.request import LearnerContext, Request

TYPICAL_RATES, TYPICAL_WALK, TYPICAL_READINGS = 10, 10, 5
"""Rates that a search usually walks; at each of them passes, and places where criteria
are read. On hmm_llama, searches walk 72 to 136 passes at 8 to 11 rates, and read 50 to
64 places, whatever the effort."""

ROUNDING = 1e-6
"""Distances this small are rounding of answers in float32. A network that has learned
nothing may be no further from its ICL: both answer everything wrong alike."""


class Searched(Trainable, Protocol):
    """What a rate is chosen for: a ``gradient.GradientLearner``."""

    @property
    def passes(self) -> int | None:
        """Passes over the demonstrations; None searches for the best number."""

    def training_work(
        self, sizes: PromptSizes, n_sets: int, passes: float
    ) -> TokenCount:
        """Count the training of some sets."""

    def asking(
        self, sizes: PromptSizes, n_sets: int, n_queries: int, times: int = 1
    ) -> TokenCount:
        """Count queries, asked several times."""


@dataclass(frozen=True, kw_only=True)
class RateChoice:
    """Choose rate and passes on calibration queries, by every criterion.

    All sets of a cell share one choice: the best mean over the cell's first
    demonstration sets. It costs a fraction of the training and cannot fit single sets.
    The observation has ``points`` (n_sets used, n_places, n_criteria), where each place
    is a rate and a number of passes; values are infinite where training has failed. Its
    ``facts`` have, by the criterion's name, the chosen rate and passes and the search's
    curves, and the places themselves.
    """

    of: Searched
    needs_model: bool = True

    def observe(self, context: LearnerContext) -> Observation:
        """Search for each criterion in turn; all read the same trainings.

        Raises:
            NumericsError: No rate gives a finite loss.
        """
        walks = GradientWalks(context, self.of)
        choices = (
            self._from_given(walks) if self.of.effort.rates else self._found(walks)
        )
        read = walks.readings_so_far()
        facts = {"places": read.facts["places"], "criteria": list(choices)}
        return Observation(arrays=read.arrays, facts={**choices, **facts})

    def _found(self, walks: GradientWalks) -> dict[str, dict[str, Any]]:
        """Search for the best rate and passes by each criterion."""
        limits = self.of.effort.limits(self.of.passes)
        centre = walks.scale()
        choices = {}
        for _ in range(2):  # the second time, with the walks of all criteria
            for column, criterion in enumerate(self.of.criteria):
                choices[criterion.name] = _choose(walks, column, centre, limits)
        return choices

    def _from_given(self, walks: GradientWalks) -> dict[str, dict[str, Any]]:
        """Walk the given rates, and choose among the given numbers of passes."""
        places = self.of.effort.given_places(self.of.passes)
        is_fixed = self.of.passes is not None
        for rate in self.of.effort.rates:
            walks.walk(rate, places[-1], places)
        return {
            criterion.name: _chosen_from_given(walks, column, passes_are_fixed=is_fixed)
            for column, criterion in enumerate(self.of.criteria)
        }

    def cost(
        self, sizes: PromptSizes, facts: Mapping[str, Any] | None = None
    ) -> LearnerCost:
        """Count the training at all rates, and the queries at every place.

        Before the learner runs, the count is of a usual search. The limit is a search
        by every criterion that goes on until it must stop.
        """
        if facts is not None:
            walked: dict[float, int] = {}
            for rate, passes in facts["places"]:
                walked[rate] = max(walked.get(rate, 0), int(passes))
            n_places = len(facts["places"])
            work = self._searched(sizes, sum(walked.values()), n_places)
            return LearnerCost(observation=work)
        if rates := self.of.effort.rates:
            given = self.of.effort.given_places(self.of.passes)
            n = len(rates)
            work = self._searched(sizes, n * given[-1], n * len(given))
            return LearnerCost(observation=work)
        limits = self.of.effort.limits(self.of.passes)
        usual = min(TYPICAL_WALK, limits.passes)
        most = min(limits.total + limits.passes, limits.rates * limits.passes)
        most *= len(self.of.criteria)
        n_places = TYPICAL_RATES * min(usual, TYPICAL_READINGS)
        return LearnerCost(
            observation=self._searched(sizes, TYPICAL_RATES * usual, n_places),
            limit=self._searched(sizes, most, most),
        )

    def needed(self, request: Request) -> list[Request]:
        """List what answers are compared with: the model's alone, and maybe ICL's."""
        return [
            replace(request, learner=other)
            for reads, compares in comparisons(self.of.criteria).items()
            for other in learners_compared(reads, compares=compares)
        ]

    def _searched(self, sizes: PromptSizes, passes: int, n_places: int) -> TokenCount:
        n_sets = min(self.of.effort.n_sets, sizes.n_sets)
        work = self.of.training_work(sizes, n_sets, passes)
        if "answers" in comparisons(self.of.criteria):
            asked = self.of.asking(sizes, n_sets, sizes.n_calibration, n_places)
            work = work.plus(asked)
        if "activations" in comparisons(self.of.criteria):
            alone = sizes.n_calibration * sizes.query_tokens
            tokens = alone + sizes.demonstration_tokens
            work = work.plus(TokenCount(read=n_places * n_sets * tokens))
        return work


def _choose(
    walks: GradientWalks, column: int, centre: float, limits: SearchLimits
) -> dict[str, Any]:
    """Search by one criterion, and describe the choice in plain values.

    Raises:
        NumericsError: No rate gives a finite value.
    """

    def walk(rate: float, passes: int) -> Curve:
        walks.walk(rate, passes)
        return walks.curve(rate, column)

    search = RateSearch(
        walk=walk,
        start=walks.starts[column],
        resolution=_resolution(walks, column),
        limits=limits,
        has_vanished=walks.has_vanished,
        curves={step_of(rate): walk(rate, limits.fewest) for rate in walks.rates},
    )
    return _described(walks, column, search.find(centre), search.walked())


def _resolution(walks: GradientWalks, column: int) -> float:
    """Return the largest difference of a criterion that does not matter."""
    return max(walks.criteria[column].resolution * walks.starts[column], ROUNDING)


def _chosen_from_given(
    walks: GradientWalks, column: int, *, passes_are_fixed: bool
) -> dict[str, Any]:
    """Choose among the given rates and passes by one criterion, in plain values.

    Raises:
        NumericsError: No rate gives a finite value.
    """
    curves = {
        rate: _infinite(walks.curve(rate, column), where=walks.has_vanished(rate))
        for rate in walks.rates
    }
    best = best_of_given(
        curves,
        start=walks.starts[column],
        resolution=_resolution(walks, column),
        passes_are_fixed=passes_are_fixed,
    )
    walked = ((rate, sorted(curve.items())) for rate, curve in curves.items())
    return _described(walks, column, best, walked)


def _infinite(curve: Curve, *, where: bool) -> Curve:
    """Replace the values of a rate that has changed no weight, so none is chosen."""
    return dict.fromkeys(curve, math.inf) if where else curve


def _described(
    walks: GradientWalks,
    column: int,
    best: Optimum,
    walked: Iterable[tuple[float, list[tuple[int, float]]]],
) -> dict[str, Any]:
    """Describe a choice in plain values.

    Raises:
        NumericsError: No rate gives a finite value.
    """
    if not math.isfinite(best.value):
        request = walks.context.request
        raise NumericsError(
            f"No learning rate from {min(walks.rates):g} to {max(walks.rates):g} "
            f"trains {request.model.name}. Expected one that neither diverges nor "
            f"vanishes. {next(iter(walks.failures), '')}".rstrip()
        )
    curves = [
        [rate, [[n, value if math.isfinite(value) else None] for n, value in points]]
        for rate, points in walked
    ]
    return {
        "criterion": walks.criteria[column].name,
        **asdict(best),
        **walks.facts(column),
        "curves": curves,
    }
