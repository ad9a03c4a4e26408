"""The judge: what a claim hands its measurements to, and what becomes of the verdict.

The judge collects; when the claim's test returns, :meth:`Judge.conclude` turns the
verdict into an outcome: nothing raised is *supported*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from probes.cell import Cell
from probes.claims import ClaimCard
from probes.errors import ClaimError
from probes.measurement import Measurement, lead_of_nearest
from probes.observations.observation import Observation
from probes.verdicts.equivalence import describe, is_gained, judge_within
from probes.verdicts.exact import judge_exactly, judge_whole
from probes.verdicts.group_sequential import Looks
from probes.verdicts.judgement import Effect, Judgement
from probes.verdicts.negative_controls import (
    UNTRAINED,
    Better,
    tell_alike,
    tell_floors_alike,
)
from probes.verdicts.outcomes import Expectation, Undecided, conclude
from probes.verdicts.partial_identification import (
    judge_at_ends,
    judge_ceiling_at_ends,
    tell_width,
)
from probes.verdicts.superiority import judge_above
from probes.verdicts.thresholds import ALPHA


class Judge:
    """Judges one claim in one cell.

    Args:
        claim: The claim.
        cell: Where it is judged.
        looks: At how many sets it may be judged; None: at the cell's own only.

    Attributes:
        judgement: The verdict, once a judging method was called.
        beside: Effects that are shown and decide nothing.
        lacking: The gain that was not clear enough, if the cell was dismissed for it.
        example: What ICL and GD say next to a query or two, for the report.
        details: Plain values of many numbers that a report may draw, by name.
    """

    def __init__(
        self, claim: ClaimCard, cell: Cell, *, looks: Looks | None = None
    ) -> None:
        self.claim, self.cell = claim, cell
        self.looks = looks or Looks(sizes=(cell.settings.n_sets,))
        self.alpha = self.looks.nominal(ALPHA)
        self.lacking: Measurement | None = None
        self.judgement: Judgement | None = None
        self.beside: list[Effect] = []
        self._remarks: list[str] = []
        self._measured: list[Measurement] = []
        self.example: list[dict[str, Any]] | None = None
        self.details: dict[str, Any] = {}

    @property
    def note(self) -> str:
        """Remarks for the row, and how far its numbers may lie from the truth."""
        return "; ".join(filter(None, [*self._remarks, tell_width(self._measured)]))

    @property
    def is_exact(self) -> bool:
        """Whether algebra decides: weights written by hand, or an identity."""
        return self.claim.identity or self.cell.model.decided_by_algebra

    def vanishes(
        self,
        distance: Measurement,
        *,
        tolerance: float,
        margin: float,
        worst: Measurement | None = None,
    ) -> None:
        """Judge that a distance is 0: by algebra if constructed, else within a margin.

        Args:
            distance: 0 when the claim holds.
            tolerance: Largest rounding error, for constructed networks.
            margin: Largest mean distance that does not matter, for all others.
            worst: The distance on the worst task that a hunt found; for constructed
                networks it must be within the tolerance too.
        """
        if not self.is_exact:
            return self.stays_below(distance, margin=margin)
        found = judge_exactly(distance, tolerance=tolerance)
        if worst is not None:
            hunted = judge_exactly(worst, tolerance=tolerance)
            self.beside.append(hunted.effect)
            if hunted.verdict == "refuted":
                found = replace(found, verdict="refuted")
        return self._settle(found)

    def agrees(self, difference: Measurement, *, margin: float) -> None:
        """Judge that a signed difference lies within ±margin."""
        self._settle(self._ends(judge_within, difference, margin=margin))

    def stays_below(self, value: Measurement, *, margin: float) -> None:
        """Judge that a mean lies below the margin, however far."""
        self._settle(self._ends(judge_within, value, margin=margin, one_sided=True))

    def exceeds(self, advantage: Measurement, *, margin: float) -> None:
        """Judge that a signed advantage is larger than the margin."""
        self._settle(self._ends(judge_above, advantage, margin=margin))

    def exceeds_in_whole(self, advantage: Measurement, *, margin: float) -> None:
        """Judge an advantage that is known of all there is, none of it drawn."""
        self._settle(judge_whole(advantage, margin=margin))

    def reaches_ceiling(
        self,
        similarity: Measurement,
        *,
        floors: Mapping[str, Measurement],
        ceiling: Measurement,
        margin: float,
    ) -> None:
        """Judge that a similarity comes within the margin of its ceiling.

        Args:
            similarity: Of ICL and the learner.
            floors: The same similarity for arms that are no evidence, by name; the
                largest counts, and all are shown.
            ceiling: The same similarity of ICL and ICL.
            margin: Share of the way from floor to ceiling that may be missing.
        """
        self.shows(**{"the learner": similarity, "ceiling, ICL and ICL": ceiling})
        self.shows(**{f"floor, {name}": floor for name, floor in floors.items()})
        found = judge_ceiling_at_ends(
            similarity, floors, ceiling, margin=margin, alpha=self.alpha
        )
        self.notes(tell_floors_alike(similarity, floors, alpha=self.alpha))
        if found.verdict == "not_applicable":
            highest = max(floors, key=lambda name: floors[name].mean)
            found = replace(found, reason=f"{found.reason}; the floor is {highest}")
        self._settle(found)

    def is_nearest(
        self,
        distance: Measurement,
        rivals: Mapping[str, Measurement],
        *,
        tolerance: float,
        margin: float,
    ) -> None:
        """Judge that no rival is nearer to ICL; if constructed, that ICL is GD.

        Args:
            distance: Distance from ICL to the learner of the claim.
            rivals: The same distance to every other learner, by name.
            tolerance: Largest rounding error of the distance, for constructed networks:
                hand-written weights either do the algorithm or do not.
            margin: For all others: advantage of the nearest rival that does not matter.
        """
        self.shows(lead_of_nearest({"GD": distance, **rivals}), **rivals)
        nearest = min(rivals, key=lambda name: rivals[name].mean)
        self.notes(f"nearest rival: {nearest}")
        if self.is_exact:
            return self._settle(judge_exactly(distance, tolerance=tolerance))
        excess = distance.minus(rivals[nearest])
        named = replace(excess, name=f"excess {distance.name} over {nearest}")
        return self.stays_below(named, margin=margin)

    def contrasts(
        self, trained: Measurement, untrained: Iterable[Measurement], *, better: Better
    ) -> None:
        """Show the same with random weights, and say so if it is no worse.

        Args:
            trained: What is judged.
            untrained: The same of the untrained network, if there is one.
            better: What speaks for the claim.
        """
        for bare in untrained:
            self.shows(**{UNTRAINED: bare})
            self.notes(tell_alike(trained, bare, better=better, alpha=self.alpha))

    def shows(self, *measurements: Measurement, **arms: Measurement) -> None:
        """Put measurements into the row that decide nothing.

        Args:
            measurements: Shown under their own names.
            arms: Shown with the arm they belong to: ``judge.shows(ICL=accuracy(icl))``.
        """
        named = [replace(m, name=f"{m.name}: {arm}") for arm, m in arms.items()]
        self.beside += [describe(m) for m in (*measurements, *named)]
        self._measured += [*measurements, *arms.values()]

    def notes(self, text: object) -> None:
        """Put a remark into the row, such as a counterexample."""
        self._remarks.append(str(text))

    def illustrates(self, illustration: Observation) -> None:
        """Put example answers into the row, which decide nothing."""
        self.example = illustration.facts["example"]

    def attaches(self, **details: Any) -> None:
        """Put plain values into the row that a report may draw and decide nothing."""
        self.details |= details

    def dismiss(self, reason: str, because: Measurement) -> None:
        """Say that the claim does not apply to this cell, and show why.

        Raises:
            Undecided: Always; the cell is done.
        """
        shown = replace(describe(because), sets=because.set_means)
        none = Judgement(verdict="not_applicable", effect=shown, reason=reason)
        self.judgement = none
        raise Undecided(reason)

    def requires(self, gain: Measurement, *, otherwise: str) -> None:
        """Dismiss the cell, with a reason, unless a gain is clearly above 0."""
        if not is_gained(gain.at_least(), alpha=self.alpha):
            self.lacking = gain
            self.dismiss(otherwise, gain)

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

    def _ends(self, judged: Any, measured: Measurement, **given: Any) -> Judgement:
        self._measured.append(measured)
        return judge_at_ends(judged, measured, alpha=self.alpha, **given)

    def _settle(self, judgement: Judgement) -> None:
        if self.judgement is not None:
            raise ClaimError(
                f"The claim {self.claim.name!r} judged twice. Expected one verdict a "
                f"cell. Show the second measurement with judge.shows(…), or write two "
                f"claims."
            )
        self.judgement = judgement.over(self.looks)
        if judgement.p_supported is not None:
            self.notes(self.looks.told(self.cell.settings.n_sets, ALPHA))
        self.notes(judgement.tell_width())
