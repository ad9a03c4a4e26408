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
from probes.verdicts.equivalence import describe, equivalence_test
from probes.verdicts.exact import census_test, tolerance_test
from probes.verdicts.gain import judge_gain
from probes.verdicts.group_sequential import GroupSequentialDesign
from probes.verdicts.intersection_union import intersection_union_test_at_bounds
from probes.verdicts.judgement import Judgement
from probes.verdicts.likeness_results import LikenessResults
from probes.verdicts.negative_controls import remark_on_floors
from probes.verdicts.outcomes import Expectation, Undecided, conclude
from probes.verdicts.partial_identification import (
    ceiling_test_at_bounds,
    judge_at_bounds,
)
from probes.verdicts.superiority import superiority_test
from probes.verdicts.thresholds import ALPHA


class Judge(LikenessResults):
    """Judges one claim in one cell.

    Args:
        claim: The claim.
        cell: Where it is judged.
        design: The numbers of sets at which it may be judged; None: the cell's own.

    Attributes:
        judgement: The verdict; None until a judging method was called.
        lacking: The gain that was not clear enough, if the cell was dismissed for it.
    """

    def __init__(
        self,
        claim: ClaimCard,
        cell: Cell,
        *,
        design: GroupSequentialDesign | None = None,
    ) -> None:
        self.claim, self.cell = claim, cell
        self.design = design or GroupSequentialDesign(sizes=(cell.settings.n_sets,))
        super().__init__(alpha=self.design.nominal_level(ALPHA))
        self.judgement: Judgement | None = None
        self.lacking: Measurement | None = None

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

    def agrees(
        self, difference: Measurement, *, margin: float, best: Measurement | None = None
    ) -> None:
        """Judge that a signed difference lies within ±margin.

        Args:
            difference: 0 when the claim holds.
            margin: The largest mean that does not matter.
            best: The same difference of GD at its best at the task, if ``difference``
                is of the GD that is nearest to ICL. It is shown. If it would not be
                refuted, the claim is not refuted either.
        """
        if best is not None:
            self.note_best(
                judge_at_bounds(equivalence_test, best, alpha=self.alpha, margin=margin)
            )
        self._test(equivalence_test, difference, margin=margin)

    def stays_below(self, *values: Measurement, margin: float) -> None:
        """Judge that a mean lies below the margin, however far; of several, all."""
        self._measured.extend(values)
        self._settle(
            intersection_union_test_at_bounds(values, margin=margin, alpha=self.alpha)
        )

    def exceeds(self, advantage: Measurement, *, margin: float) -> None:
        """Judge that a signed advantage is larger than the margin."""
        self._test(superiority_test, advantage, margin=margin)

    def exceeds_in_whole(self, advantage: Measurement, *, margin: float) -> None:
        """Judge that an advantage exceeds the margin, if nothing was sampled."""
        self._settle(census_test(advantage, margin=margin))

    def reaches_ceiling(
        self,
        similarity: Measurement,
        *,
        floors: Mapping[str, Measurement],
        ceiling: Measurement,
        margin: float,
        best: Measurement | None = None,
        other_ceiling: Measurement | None = None,
    ) -> None:
        """Judge that a similarity comes within the margin of its ceiling.

        Args:
            similarity: Of ICL and the learner.
            floors: The same similarity for arms that are no evidence, by name; the
                largest counts, and all are shown.
            ceiling: The same similarity of ICL and ICL in another order. It decides.
            margin: Share of the way from floor to ceiling that may be missing.
            best: The same similarity of GD at its best at the task, if ``similarity``
                is of the GD that is nearest to ICL. It is shown. If it would not be
                refuted, the claim is not refuted either.
            other_ceiling: The same similarity of ICL and ICL on other demonstrations.
                It is shown, and the row says so if it would decide otherwise.
        """
        if best is not None:
            self.note_best(
                ceiling_test_at_bounds(
                    best, floors, ceiling, margin=margin, alpha=self.alpha
                )
            )
        self.record(**{"the learner": similarity, "ceiling, ICL and ICL": ceiling})
        self.record(**{f"floor, {name}": floor for name, floor in floors.items()})
        judgement = ceiling_test_at_bounds(
            similarity, floors, ceiling, margin=margin, alpha=self.alpha
        )
        if other_ceiling is not None:
            self.note_other_ceiling(
                judgement,
                ceiling_test_at_bounds(
                    similarity, floors, other_ceiling, margin=margin, alpha=self.alpha
                ),
                other_ceiling,
            )
        self.record(remark_on_floors(similarity, floors, alpha=self.alpha))
        if judgement.verdict == "not_applicable":
            highest = max(floors, key=lambda name: floors[name].mean)
            reason = f"{judgement.reason}; the floor is {highest}"
            judgement = replace(judgement, reason=reason)
        self._settle(judgement)

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
            self.dismiss("every rival answers as GD does", distance)
        return self.stays_below(*excess.values(), margin=margin)

    def dismiss(self, reason: str, because: Measurement) -> None:
        """Say that the claim does not apply to this cell, and show why.

        Raises:
            Undecided: Always; the cell is done.
        """
        shown = replace(describe(because), sets=because.set_means)
        self.judgement = Judgement(
            verdict="not_applicable", effect=shown, reason=reason
        )
        raise Undecided(reason)

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
        conclude(self.judgement, expected)

    def _test(
        self, test: Callable[..., Judgement], measured: Measurement, **options: Any
    ) -> None:
        self._measured.append(measured)
        self._settle(judge_at_bounds(test, measured, alpha=self.alpha, **options))

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
