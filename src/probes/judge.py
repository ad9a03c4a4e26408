"""The judge: what a claim hands its measurements to, and what becomes of the verdict.

The judge collects; when the claim's test returns, :meth:`Judge.conclude` turns the
verdict into an outcome: nothing raised is *supported*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from probes.claims import ClaimCard
from probes.errors import ClaimError
from probes.judgement import Effect, Judgement
from probes.measurement import Measurement
from probes.observation import Observation
from probes.tasks import Cell
from probes.verdict import describe, judge_ceiling, judge_exactly, judge_within


class Refuted(AssertionError):  # noqa: N818 - a verdict, not an error
    """The measured effect lies outside the margin."""


class Changed(AssertionError):  # noqa: N818 - a verdict, not an error
    """The verdict differs from its record."""


class Undecided(Exception):  # noqa: N818 - a verdict, not an error
    """The verdict is inconclusive or not applicable; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What an earlier run recorded for a cell.

    Attributes:
        verdict: The cell's own, before correction.
        effect: Its main effect.
        unit: The effect's unit.
        is_strict: Any other verdict fails, as beside the record of the shipped matrix;
            otherwise only the opposite one, as beside another run.
    """

    verdict: str
    effect: float | None = None
    unit: str = ""
    is_strict: bool = True

    def forbids(self, verdict: str) -> bool:
        """Say whether a verdict differs more than it may."""
        return self.verdict != verdict and (
            self.is_strict or {self.verdict, verdict} == {"supported", "refuted"}
        )

    def __str__(self) -> str:
        size = "" if self.effect is None else f" (effect {self.effect:.4g} {self.unit})"
        return f"{self.verdict}{size}"


class Judge:
    """Judges one claim in one cell.

    Args:
        claim: The claim.
        cell: Where it is judged.

    Attributes:
        judgement: The verdict, once a judging method was called.
        beside: Effects that are shown and decide nothing.
        note: A counterexample or another remark for the row.
        example: What ICL and GD say next to a query or two, for the report.
    """

    def __init__(self, claim: ClaimCard, cell: Cell) -> None:
        self.claim, self.cell = claim, cell
        self.judgement: Judgement | None = None
        self.beside: list[Effect] = []
        self.note = ""
        self.example: list[dict[str, Any]] | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the weights were written by hand, so that algebra decides."""
        return self.cell.model.kind == "constructed"

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
            return self._settle(judge_within(distance, margin=margin, one_sided=True))
        found = judge_exactly(distance, tolerance=tolerance)
        if worst is not None:
            hunted = judge_exactly(worst, tolerance=tolerance)
            self.beside.append(hunted.effect)
            if hunted.verdict == "refuted":
                found = replace(found, verdict="refuted")
        return self._settle(found)

    def agrees(self, difference: Measurement, *, margin: float) -> None:
        """Judge that a signed difference lies within ±margin."""
        self._settle(judge_within(difference, margin=margin))

    def stays_below(self, value: Measurement, *, margin: float) -> None:
        """Judge that a mean lies below the margin, however far."""
        self._settle(judge_within(value, margin=margin, one_sided=True))

    def exceeds(self, advantage: Measurement, *, margin: float) -> None:
        """Judge that a signed advantage is larger than the margin."""
        mirrored = replace(advantage, values=2 * margin - advantage.values)
        found = judge_within(mirrored, margin=margin, one_sided=True)
        low, high = found.effect.low, found.effect.high
        effect = replace(
            found.effect,
            value=advantage.mean,
            low=None if high is None else 2 * margin - high,
            high=None if low is None else 2 * margin - low,
        )
        self._settle(replace(found, effect=effect))

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
        arms = list(floors.values())
        self._settle(
            judge_ceiling(similarity, floors=arms, ceiling=ceiling, margin=margin)
        )

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
        for name, rival in rivals.items():
            self.shows(**{name: rival})
        nearest = min(rivals, key=lambda name: rivals[name].mean)
        self.notes(f"nearest rival: {nearest}")
        if self.is_exact:
            return self._settle(judge_exactly(distance, tolerance=tolerance))
        excess = distance.minus(rivals[nearest])
        named = replace(excess, name=f"excess {distance.name} over {nearest}")
        return self._settle(judge_within(named, margin=margin, one_sided=True))

    def shows(self, *measurements: Measurement, **arms: Measurement) -> None:
        """Put measurements into the row that decide nothing.

        Args:
            measurements: Shown under their own names.
            arms: Shown with the arm they belong to: ``judge.shows(ICL=accuracy(icl))``.
        """
        named = [replace(m, name=f"{m.name}: {arm}") for arm, m in arms.items()]
        self.beside += [describe(m) for m in (*measurements, *named)]

    def notes(self, text: object) -> None:
        """Put a remark into the row, such as a counterexample."""
        self.note = "; ".join(filter(None, [self.note, str(text)]))

    def illustrates(self, illustration: Observation) -> None:
        """Put example answers into the row, which decide nothing."""
        self.example = illustration.facts["example"]

    def dismiss(self, reason: str, because: Measurement) -> None:
        """Say that the claim does not apply to this cell, and show why.

        Raises:
            Undecided: Always; the cell is done.
        """
        effect = replace(describe(because), sets=because.set_means)
        self.judgement = Judgement(
            verdict="not_applicable", effect=effect, reason=reason
        )
        raise Undecided(reason)

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
        found = self.judgement
        told = f"{found.verdict}: {tell(found.effect)}"
        if expected is not None and expected.forbids(found.verdict):
            raise Changed(f"The record says {expected}; this run says {told}")
        if found.verdict == "refuted":
            raise Refuted(told)
        if found.verdict != "supported":
            raise Undecided(found.reason)

    def _settle(self, judgement: Judgement) -> None:
        if self.judgement is not None:
            raise ClaimError(
                f"The claim {self.claim.name!r} judged twice. Expected one verdict a "
                f"cell. Show the second measurement with judge.shows(…), or write two "
                f"claims."
            )
        self.judgement = judgement
        effect = judgement.effect
        has_no_width = effect.low is not None and effect.low == effect.high
        if judgement.verdict == "supported" and has_no_width:
            self.notes(
                f"all values are {effect.value:.4g}: the interval has no width, and "
                f"the support rests on nothing that varies"
            )


def tell(effect: Effect) -> str:
    """Write an effect in one line, with unit, interval and bounds."""
    parts = [f"{effect.name} {effect.value:.4g} {effect.unit}"]
    if effect.low is not None or effect.high is not None:
        low = "−∞" if effect.low is None else f"{effect.low:.4g}"
        high = "∞" if effect.high is None else f"{effect.high:.4g}"
        parts.append(f"[{low}, {high}]")
    for name in ("margin", "floor", "ceiling", "p"):
        value = getattr(effect, name)
        if value is not None:
            parts.append(f"{name} {value:.3g}")
    return ", ".join(parts)
