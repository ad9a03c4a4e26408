"""A verdict and the numbers that it rests on: plain types."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from probes.verdicts.crossed_means import Components
from probes.verdicts.group_sequential import GroupSequentialDesign
from probes.verdicts.thresholds import ALPHA, FEW_SETS

Verdict = Literal["supported", "refuted", "inconclusive", "not_applicable"]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One line of numbers in a row; None if a number does not apply."""

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    level: float | None = None
    margin: float | None = None
    floor: float | None = None
    ceiling: float | None = None
    n_sets: int
    n_queries: int
    p: float | None = None
    p_adjusted: float | None = None
    sets: tuple[float, ...] | None = None
    """The effect in each demonstration set, rounded; None for secondary effects."""
    components: Components | None = None
    """Variances of what was tested; power is planned from them."""
    has_two_sides: bool = False
    """Whether the mean must lie within ±margin, not only below the margin."""
    counts_groups: bool = False
    """Whether ``n_sets`` counts groups of rows, each with the mean of its sets."""

    @property
    def sampled(self) -> str:
        """What ``n_sets`` counts."""
        return "groups of rows" if self.counts_groups else "demonstration sets"

    @property
    def more_may_decide(self) -> str:
        """Say how many more may make a gain clear, or the room below a ceiling."""
        n = max(FEW_SETS, 2 * self.n_sets)
        if self.counts_groups:
            return f"more groups of rows may decide, for instance {n}"
        return f"more sets may decide, for instance --sets {n}"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict with the effect it rests on.

    Attributes:
        verdict: The word.
        effect: The numbers; its ``p`` belongs to the verdict (see ``p_*``).
        p_supported: p of "inside the margin".
        p_refuted: p of "outside the margin".
        reason: Why it is inconclusive or not applicable; else empty.
    """

    verdict: Verdict
    effect: Effect
    p_supported: float | None = None
    p_refuted: float | None = None
    reason: str = ""

    def adjusted_for(self, design: GroupSequentialDesign) -> Judgement:
        """Adjust the p-values for all interim analyses at which a cell could stop."""

        def overall(p: float | None) -> float | None:
            return None if p is None else design.overall_p(p)

        return replace(
            self,
            effect=replace(self.effect, p=overall(self.effect.p)),
            p_supported=overall(self.p_supported),
            p_refuted=overall(self.p_refuted),
        )

    def remark_on_spread(self) -> str:
        """Say so if a claim is supported by values that do not vary; else empty."""
        effect = self.effect
        has_no_width = effect.low is not None and effect.low == effect.high
        if self.verdict != "supported" or not has_no_width:
            return ""
        unseen = 1 - ALPHA ** (1 / effect.n_sets)
        return (
            f"all values are {effect.value:.4g}: the interval has no width; a failure "
            f"in fewer than {100 * unseen:.0f} % of {effect.sampled} could have stayed "
            f"unseen"
        )


def effect_line(effect: Effect) -> str:
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
