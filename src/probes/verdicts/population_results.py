"""Of which groups of rows a verdict speaks, and what it would be for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar, cast

from probes.measurement import Measurement
from probes.observations.observation import Observation
from probes.verdicts.group_means import RowGroups
from probes.verdicts.judgement import Judgement
from probes.verdicts.likeness_results import LikenessResults
from probes.verdicts.negative_controls import Better
from probes.verdicts.outcomes import Undecided

AnyMethod = TypeVar("AnyMethod", bound=Callable[..., None])


class PopulationResults(LikenessResults):
    """Lets every test see the units of its population.

    Args:
        alpha: Level of the tests of negative controls.
        groups: The groups of the data set; None if it has none.
        shape: The cell's (n_sets, n_queries).

    Attributes:
        judgement: The verdict; None until a judging method was called.
        other_judgement: The verdict on the other population; None if there are no
            groups, or if the claim ended before it was known.
    """

    def __init__(
        self, *, alpha: float, groups: RowGroups | None, shape: tuple[int, int]
    ) -> None:
        super().__init__(alpha=alpha)
        self.groups, self._shape = groups, shape
        self.judgement: Judgement | None = None
        self.other_judgement: Judgement | None = None
        self._calls: list[Callable[[Any], None]] = []

    def view(self, given: Any) -> Any:
        """Give what a test sees of a measurement; all else stays as it is."""
        if self.groups is None:
            return given
        return self.groups.view(given, shape=self._shape)

    def record(
        self,
        *results: Measurement | Observation | str,
        **named: Measurement | Mapping[str, Any],
    ) -> None:
        """Put results into the row that decide nothing (see ``SecondaryResults``)."""
        seen = {name: self.view(one) for name, one in named.items()}
        super().record(*map(self.view, results), **seen)

    def control(
        self, trained: Measurement, untrained: Iterable[Measurement], *, better: Better
    ) -> None:
        """Show the same with random weights (see ``SecondaryResults``)."""
        seen = [self.view(one) for one in untrained]
        super().control(self.view(trained), seen, better=better)

    def compare_populations(self, other: PopulationResults) -> None:
        """Say of which groups the verdict speaks, and what it would be for the others.

        Args:
            other: A new judge of the claim for the other population. Every call that
                the claim made is made again.
        """
        assert self.groups is not None
        assert self.judgement is not None
        other.unfinished = self.unfinished
        with suppress(Undecided):
            for call in self._calls:
                call(other)
        found = self.other_judgement = other.judgement
        remark = f"the verdict holds for {self.groups.population}"
        if found is not None and found.verdict != self.judgement.verdict:
            word = found.verdict.replace("_", " ")
            remark += f"; for {self.groups.other.population}, it would be {word}"
        self.record(remark)

    def population_to_row(self) -> dict[str, Any] | None:
        """Put the population and the verdict on the other one into plain values."""
        if self.groups is None:
            return None
        found = self.other_judgement
        return {
            "speaks_of": self.groups.speaks_of,
            "n_groups": self.groups.n_groups,
            "other": found
            and {
                "speaks_of": self.groups.other.speaks_of,
                "verdict": found.verdict,
                "p_supported": found.p_supported,
                "p_refuted": found.p_refuted,
            },
        }


def sees_population(method: AnyMethod) -> AnyMethod:
    """Let a judging method see the units of the population, and keep its calls."""

    @wraps(method)
    def judge(self: PopulationResults, *args: Any, **kwargs: Any) -> None:
        self._calls.append(lambda other: judge(other, *args, **kwargs))
        seen = {name: self.view(one) for name, one in kwargs.items()}
        method(self, *map(self.view, args), **seen)

    return cast(AnyMethod, judge)
