"""What a claim of likeness shows beside its verdict: another GD, ceiling or floor."""

from __future__ import annotations

from dataclasses import replace

from probes.measurement import Measurement
from probes.verdicts.judgement import Judgement
from probes.verdicts.secondary_results import SecondaryResults

OTHER_CEILING = "ceiling, ICL on other demonstrations"


class LikenessResults(SecondaryResults):
    """Collects how a claim would be judged with another GD, ceiling or floor.

    Args:
        alpha: Level of the tests of negative controls.

    Attributes:
        best: How GD at its best at the task would be judged; None if it was not.
    """

    def __init__(self, *, alpha: float) -> None:
        super().__init__(alpha=alpha)
        self.best: Judgement | None = None

    def chance_left(self) -> str:
        """Say why GD may be like ICL although this GD is not; empty if nothing does."""
        if self.unfinished:
            edge = self.unfinished[0]
            is_given = edge.endswith("given")  # see ``learners.given_places``
            remedy = "other --rates or --passes" if is_given else "a larger --effort"
            return f"GD may still come nearer: {edge}; {remedy} may decide"
        if self.best is not None and self.best.verdict != "refuted":
            return (
                "the GD nearest to ICL on calibration queries is refuted, but GD at "
                "its best at the task is not"
            )
        return ""

    def note_stand_in(self, criterion: str) -> None:
        """Say so if GD was chosen by another measure than the claim's own.

        Args:
            criterion: The other measure's name; empty if the claim has none.
        """
        searches = self.details.get("searches", ())
        if criterion and any(s["criterion"] == criterion for s in searches):
            self.record(
                f"GD's rate and passes were chosen by {criterion.replace('_', ' ')}, "
                f"in place of this claim's own measure"
            )

    def note_best(self, judgement: Judgement) -> None:
        """Show how GD at its best at the task would be judged."""
        self.best, effect = judgement, judgement.effect
        self.secondary_effects.append(
            replace(
                effect, name=f"{effect.name}: GD at its best at the task", sets=None
            )
        )
        self.record(
            f"GD at its best at the task would be {judgement.verdict.replace('_', ' ')}"
        )

    def note_other_ceiling(
        self, judgement: Judgement, other: Judgement, ceiling: Measurement
    ) -> None:
        """Show the other ceiling, and say so if the verdict depends on the choice."""
        self.record(**{OTHER_CEILING: ceiling})
        shown = replace(other.effect, sets=None)
        name = f"{shown.name}: with the ceiling of other demonstrations"
        self.secondary_effects.append(replace(shown, name=name))
        if other.verdict != judgement.verdict:
            self.record(
                f"the verdict depends on the ceiling: with ICL on other demonstrations "
                f"it would be {other.verdict.replace('_', ' ')}"
            )

    def note_own_floors(self, judgement: Judgement, own: Judgement) -> None:
        """Say so if the verdict depends on the arms that have other weights.

        Args:
            judgement: From all floors.
            own: From those arms that have the judged network's own weights.
        """
        if own.verdict == judgement.verdict:
            return
        shown = replace(own.effect, sets=None)
        name = f"{shown.name}: from the floors of this network alone"
        self.secondary_effects.append(replace(shown, name=name))
        self.record(
            f"the verdict depends on the floor: without the arms that have random "
            f"weights it would be {own.verdict.replace('_', ' ')}"
        )
