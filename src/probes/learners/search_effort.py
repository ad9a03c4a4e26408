"""How much a search for GD's rate and passes may cost."""

from __future__ import annotations

from dataclasses import dataclass

from probes.learners.training_trials import SELECTION_SETS


@dataclass(frozen=True, kw_only=True)
class SearchLimits:
    """Where a search ends although its optimum may lie further on.

    Attributes:
        passes: The most passes at one rate.
        total: The most passes at all rates together.
        rates: The most rates.
        fewest: The fewest passes that may be chosen; ``passes`` if they are fixed.
    """

    passes: int
    total: int
    rates: int = 16
    fewest: int = 1

    @property
    def are_fixed(self) -> bool:
        """Whether only the rate is searched for."""
        return self.fewest >= self.passes


@dataclass(frozen=True, kw_only=True)
class SearchEffort:
    """How much a search may cost.

    Attributes:
        n_sets: Demonstration sets that are trained.
        passes: The most passes at one rate.
        total: The most passes at all rates together, for each criterion.
        rates: The only rates that are tried, ascending; empty searches for the best.
        places: The only numbers of passes that may be chosen, ascending; empty searches
            for the best. Given with ``rates``.
    """

    n_sets: int = SELECTION_SETS
    passes: int = 256
    total: int = 2048
    rates: tuple[float, ...] = ()
    places: tuple[int, ...] = ()

    @property
    def most_passes(self) -> int:
        """The most passes that may be chosen."""
        return self.places[-1] if self.places else self.passes

    def usual_passes(self, searched: int) -> int:
        """Guess how many passes are chosen: of given numbers, one in their middle.

        Args:
            searched: The guess for a search.
        """
        if self.places:
            return self.places[len(self.places) // 2]
        return min(searched, self.passes)

    def given_places(self, passes: int | None) -> tuple[int, ...]:
        """List the given numbers of passes; a learner with a fixed number has one."""
        return self.places if passes is None else (passes,)

    def limits(self, passes: int | None) -> SearchLimits:
        """Limit a search; the number of passes may be fixed."""
        most, fewest = passes or self.passes, passes or 1
        return SearchLimits(passes=most, total=self.total, fewest=fewest)


STANDARD = SearchEffort()
