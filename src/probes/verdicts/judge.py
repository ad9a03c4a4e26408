"""The judge: what a claim hands its measurements to, and what becomes of the verdict.

The judge collects. When the claim's test returns, :meth:`Judge.conclude` turns the
verdict into an outcome: *supported* if nothing is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from probes.cell import Cell
from probes.claims import ClaimCard
from probes.errors import ClaimError
from probes.measurement import Measurement, are_identical, lead_of_nearest
from probes.verdicts.dismissals import Dismissals
from probes.verdicts.equivalence import equivalence_test
from probes.verdicts.exact import census_test, tolerance_test
from probes.verdicts.group_means import RowGroups
from probes.verdicts.group_sequential import GroupSequentialDesign
from probes.verdicts.intersection_union import intersection_union_test_at_bounds
from probes.verdicts.judgement import Judgement
from probes.verdicts.negative_controls import own_floors, remark_on_floors
from probes.verdicts.outcomes import Expectation, conclude
from probes.verdicts.partial_identification import (
    ceiling_test_at_bounds,
    judge_at_bounds,
)
from probes.verdicts.population_results import sees_population
from probes.verdicts.superiority import superiority_test
from probes.verdicts.thresholds import ALPHA


class Judge(Dismissals):
    """Judges one claim in one cell.

    Args:
        claim: The claim.
        cell: Where it is judged.
        design: The numbers of sets at which it may be judged; None: the cell's own.
        groups: The groups of the data set's rows; None if it has none.
    """

    def __init__(
        self,
        claim: ClaimCard,
        cell: Cell,
        *,
        design: GroupSequentialDesign | None = None,
        groups: RowGroups | None = None,
    ) -> None:
        self.claim, self.cell = claim, cell
        sizes = cell.settings
        self.design = design or GroupSequentialDesign(sizes=(sizes.n_sets,))
        super().__init__(
            alpha=self.design.nominal_level(ALPHA),
            groups=None if self.is_exact else groups,
            shape=(sizes.n_sets, sizes.n_queries),
        )

    @property
    def is_exact(self) -> bool:
        """Whether algebra decides: weights written by hand, or an identity."""
        return self.claim.identity or self.cell.model.decided_by_algebra

    def vanishes(
        self,
        *distances: Measurement,
        tolerance: float,
        margin: float,
        worst: Measurement | None = None,
    ) -> None:
        """Judge that distances are 0: by algebra if constructed, else within a margin.

        Args:
            distances: At least one; all are 0 when the claim holds.
            tolerance: Largest rounding error, for constructed networks.
            margin: Largest mean distance that does not matter, for all others.
            worst: The distance on the worst task that a search found; for constructed
                networks it must be within the tolerance too.
        """
        if not self.is_exact:
            return self.stays_below(*distances, margin=margin)
        judgement = max(
            (tolerance_test(one, tolerance=tolerance) for one in distances),
            key=lambda one: one.effect.value,
        )
        if worst is not None:
            at_worst = tolerance_test(worst, tolerance=tolerance)
            self.secondary_effects.append(at_worst.effect)
            if at_worst.verdict == "refuted":
                judgement = replace(judgement, verdict="refuted")
        return self._settle(judgement)

    @sees_population
    def agrees(
        self,
        difference: Measurement,
        *,
        margin: float,
        best: Measurement | None = None,
        at_any_rate: bool = False,
    ) -> None:
        """Judge that a signed difference lies within ±margin.

        Args:
            difference: 0 when the claim holds.
            margin: The largest mean that does not matter.
            best: The same difference of GD at its best at the task, if ``difference``
                is of the GD that is nearest to ICL. It is shown. If it would not be
                refuted, the claim is not refuted either.
            at_any_rate: Whether the difference is the same at every rate and number of
                passes. Then a search that is unfinished leaves nothing open.
        """
        if at_any_rate:
            self.unfinished.clear()
        if best is not None:
            self.note_best(
                judge_at_bounds(equivalence_test, best, alpha=self.alpha, margin=margin)
            )
        self._test(equivalence_test, difference, margin=margin)

    @sees_population
    def stays_below(self, *values: Measurement, margin: float) -> None:
        """Judge that a mean lies below the margin, however far; of several, all."""
        self._test_all(*values, margin=margin)

    @sees_population
    def exceeds(self, advantage: Measurement, *, margin: float) -> None:
        """Judge that a signed advantage is larger than the margin."""
        self._test(superiority_test, advantage, margin=margin)

    def exceeds_in_whole(self, advantage: Measurement, *, margin: float) -> None:
        """Judge that an advantage exceeds the margin, if nothing was sampled."""
        self._settle(census_test(advantage, margin=margin))

    @sees_population
    def reaches_ceiling(
        self,
        similarity: Measurement,
        *,
        floors: Mapping[str, Measurement],
        ceiling: Measurement,
        margin: float,
        best: Measurement | None = None,
        other_ceiling: Measurement | None = None,
        further_ceilings: Mapping[str, Measurement] | None = None,
    ) -> None:
        """Judge that a similarity comes within the margin of its ceiling.

        Args:
            similarity: Of ICL and the learner.
            floors: The same similarity for arms that are no evidence, by name; the
                largest counts, and all are shown. The row says so if the verdict
                depends on arms with random weights.
            ceiling: The same similarity of ICL and ICL in another order. It decides.
            margin: Share of the way from floor to ceiling that may be missing.
            best: The same similarity of GD at its best at the task, if ``similarity``
                is of the GD that is nearest to ICL. It is shown. If it would not be
                refuted, the claim is not refuted either.
            other_ceiling: The same similarity of ICL and ICL on other demonstrations.
                It is shown, and the row says so if it would decide otherwise.
            further_ceilings: What else ICL that is GD cannot exceed, by name. The
                claim is about the lowest of all ceilings, and all are shown.
        """
        ceilings = {"ICL and ICL": ceiling, **(further_ceilings or {})}
        all_ceilings = list(ceilings.values())
        if best is not None:
            self.note_best(
                ceiling_test_at_bounds(
                    best, floors, all_ceilings, margin=margin, alpha=self.alpha
                )
            )
        self.record(**{"the learner": similarity})
        self.record(**{f"ceiling, {name}": one for name, one in ceilings.items()})
        self.record(**{f"floor, {name}": floor for name, floor in floors.items()})
        judgement = ceiling_test_at_bounds(
            similarity, floors, all_ceilings, margin=margin, alpha=self.alpha
        )
        if other_ceiling is not None:
            self.note_other_ceiling(
                judgement,
                ceiling_test_at_bounds(
                    similarity, floors, [other_ceiling], margin=margin, alpha=self.alpha
                ),
                other_ceiling,
            )
        if own := own_floors(floors):
            self.note_own_floors(
                judgement,
                ceiling_test_at_bounds(
                    similarity, own, all_ceilings, margin=margin, alpha=self.alpha
                ),
            )
        self.record(remark_on_floors(similarity, floors, alpha=self.alpha))
        if judgement.verdict == "not_applicable":
            highest = max(floors, key=lambda name: floors[name].mean)
            reason = f"{judgement.reason}; the floor is {highest}"
            judgement = replace(judgement, reason=reason)
        self._settle(judgement)

    @sees_population
    def is_nearest(
        self,
        distance: Measurement,
        rivals: Mapping[str, Measurement],
        *,
        tolerance: float,
        margin: float,
    ) -> None:
        """Judge that no rival is nearer to ICL; if constructed, that ICL is GD.

        A rival that is as far from ICL as the learner in every single answer is the
        same algorithm here, as GD++ is GD in one layer. It is named and not counted.

        Args:
            distance: Distance from ICL to the learner of the claim.
            rivals: The same distance to every other learner, by name.
            tolerance: Largest rounding error of the distance, for constructed networks:
                hand-written weights either do the algorithm or do not.
            margin: For all others: advantage of the nearest rival that does not matter.
        """
        self.record(lead_of_nearest({"GD": distance, **rivals}), **rivals)
        nearest = min(rivals, key=lambda name: rivals[name].mean)
        self.record(f"nearest rival: {nearest}")
        if self.is_exact:
            return self._settle(tolerance_test(distance, tolerance=tolerance))
        excess = {
            name: replace(
                distance.minus(rival), name=f"excess {distance.name} over {name}"
            )
            for name, rival in rivals.items()
            if not are_identical(distance, rival)
        }
        if same := [name for name in rivals if name not in excess]:
            self.record(f"the same as GD here, so no rival: {', '.join(same)}")
        if not excess:
            self._dismiss("every rival answers as GD does", distance)
        return self._test_all(*excess.values(), margin=margin)

    def conclude(self, expected: Expectation | None) -> None:
        """Turn the verdict into an outcome.

        Raises:
            ClaimError: The claim judged nothing.
            Changed: The verdict is not the recorded one.
            Refuted: It is refuted (as recorded, or there is no record).
            Undecided: It is inconclusive or not applicable.
        """
        if self.judgement is None:
            raise ClaimError(
                f"The claim {self.claim.name!r} judged nothing. Expected one call such "
                f"as judge.agrees(…) in its body. Add it."
            )
        if self.groups is not None:
            other = Judge(
                self.claim, self.cell, design=self.design, groups=self.groups.other
            )
            self.compare_populations(other)
        conclude(self.judgement, expected)

    def _test(
        self, test: Callable[..., Judgement], measured: Measurement, **options: Any
    ) -> None:
        self._measured.append(measured)
        self._settle(judge_at_bounds(test, measured, alpha=self.alpha, **options))

    def _test_all(self, *measured: Measurement, margin: float) -> None:
        self._measured.extend(measured)
        self._settle(
            intersection_union_test_at_bounds(measured, margin=margin, alpha=self.alpha)
        )

    def _settle(self, judgement: Judgement) -> None:
        if self.judgement is not None:
            raise ClaimError(
                f"The claim {self.claim.name!r} judged twice. Expected one verdict a "
                f"cell. Show the second measurement with judge.record(…), or write two "
                f"claims."
            )
        if judgement.verdict == "refuted" and (chance := self.chance_left()):
            judgement = replace(judgement, verdict="inconclusive", reason=chance)
        self.note_stand_in(self.claim.stand_in)
        self.judgement = judgement.adjusted_for(self.design)
        if judgement.p_supported is not None:
            self.record(self.design.remark(self.cell.settings.n_sets, ALPHA))
        self.record(judgement.remark_on_spread())
