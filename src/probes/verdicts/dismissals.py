"""What ends a cell before a claim is judged: a reason, or a gain that is not clear."""

from __future__ import annotations

from dataclasses import replace

from probes.measurement import Measurement
from probes.verdicts.equivalence import describe
from probes.verdicts.gain import judge_gain
from probes.verdicts.group_means import RowGroups
from probes.verdicts.judgement import Judgement
from probes.verdicts.outcomes import Undecided
from probes.verdicts.population_results import PopulationResults, sees_population


class Dismissals(PopulationResults):
    """Dismisses cells to which a claim does not apply.

    Args:
        alpha: Level of the tests.
        groups: The groups of the data set; None if it has none.
        shape: The cell's (n_sets, n_queries).

    Attributes:
        lacking: The gain that was not clear enough, if the cell was dismissed for it.
    """

    def __init__(
        self, *, alpha: float, groups: RowGroups | None, shape: tuple[int, int]
    ) -> None:
        super().__init__(alpha=alpha, groups=groups, shape=shape)
        self.lacking: Measurement | None = None

    @sees_population
    def dismiss(self, reason: str, because: Measurement) -> None:
        """Say that the claim does not apply to this cell, and show why.

        Raises:
            Undecided: Always; the cell is done.
        """
        self._dismiss(reason, because)

    def _dismiss(self, reason: str, because: Measurement) -> None:
        shown = replace(describe(because), sets=because.set_means)
        self.judgement = Judgement(
            verdict="not_applicable", effect=shown, reason=reason
        )
        raise Undecided(reason)

    @sees_population
    def requires(self, gain: Measurement, *, otherwise: str) -> None:
        """Let only cells with a clear gain go on.

        Args:
            gain: It must be clearly above 0.
            otherwise: Why the claim does not apply where there is no gain.

        Raises:
            Undecided: The gain is excluded, and the claim does not apply; or it is not
                clear, and the cell is inconclusive.
        """
        judgement = judge_gain(gain, otherwise=otherwise, alpha=self.alpha)
        if judgement is not None:
            self.lacking, self.judgement = gain, judgement
            raise Undecided(judgement.reason)
