"""What a row shows in addition to a verdict: secondary effects, remarks, examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from probes.errors import ClaimError
from probes.measurement import Measurement
from probes.observations.observation import Observation
from probes.verdicts.equivalence import describe
from probes.verdicts.judgement import Effect
from probes.verdicts.negative_controls import UNTRAINED, Better, remark_on_control
from probes.verdicts.partial_identification import remark_on_bounds

SEARCH_FACTS = (
    "criterion",
    "rate",
    "passes",
    "value",
    "is_interior",
    "edge",
    "gain",
    "curves",
)


class SecondaryResults:
    """Collects results that a row shows and that decide nothing.

    Args:
        alpha: Level of the tests of negative controls.

    Attributes:
        secondary_effects: Measurements with their intervals, in the order recorded.
        example: What ICL and GD say next to a query or two, for the report.
        details: Plain values of many numbers that a report may draw, by name.
        unfinished: Where searches ended although their optimum may lie further on.
    """

    def __init__(self, *, alpha: float) -> None:
        self.alpha = alpha
        self.secondary_effects: list[Effect] = []
        self.example: list[dict[str, Any]] | None = None
        self.details: dict[str, Any] = {}
        self.unfinished: list[str] = []
        self._remarks: list[str] = []
        self._measured: list[Measurement] = []

    @property
    def note(self) -> str:
        """All remarks, and how far the numbers may lie from the truth."""
        return "; ".join(
            filter(None, [*self._remarks, remark_on_bounds(self._measured)])
        )

    def record(
        self,
        *results: Measurement | Observation | str,
        **named: Measurement | Mapping[str, Any],
    ) -> None:
        """Put results into the row that decide nothing.

        Args:
            results: Measurements, shown under their own names; a remark, such as a
                counterexample; an illustration, which gives the row its example.
            named: Measurements, shown with the name of the arm that they belong to, as
                in ``judge.record(ICL=accuracy(icl))``; mappings of plain values, from
                which a report may draw a map.

        Raises:
            ClaimError: A named result is neither a measurement nor a mapping.
        """
        _require_recordable(named)
        arms = {k: m for k, m in named.items() if isinstance(m, Measurement)}
        self.details |= {k: m for k, m in named.items() if k not in arms}
        for result in results:
            if isinstance(result, Measurement):
                self._add(result, result.name)
            elif isinstance(result, Observation):
                self.example = result.facts["example"]
            elif str(result) not in self._remarks:
                self._remarks.append(str(result))
        for arm, measurement in arms.items():
            self._add(measurement, f"{measurement.name}: {arm}")

    def note_search(self, facts: Mapping[str, Any], *, decides: bool) -> None:
        """Show how a learner's rate and passes were chosen.

        Args:
            facts: Those of the learner's observation (see ``rate_choice.RateChoice``).
            decides: Whether the verdict rests on this learner.
        """
        searches = self.details.setdefault("searches", [])
        search = {name: facts[name] for name in SEARCH_FACTS}
        if search not in searches:
            searches.append(search)
        if decides and not facts["is_interior"]:
            self.unfinished.append(facts["edge"])

    def note_weights(self, moved: str) -> None:
        """Show which weights a learner moved, in words."""
        known = self.details.setdefault("moved", [])
        known += [moved] if moved not in known else []

    def note_left_out(self, left_out: Iterable[str]) -> None:
        """Show, in words, which rows or tensors an observation did without."""
        for text in left_out:
            known = self.details.setdefault("left_out", [])
            known += [text] if text not in known else []
            self.record(text)

    def control(
        self, trained: Measurement, untrained: Iterable[Measurement], *, better: Better
    ) -> None:
        """Show the same with random weights, and say so if it scores no worse.

        Args:
            trained: What is judged.
            untrained: The same of the untrained network; none if the weights were
                written by hand.
            better: Which values speak for the claim.
        """
        for control in untrained:
            self.record(**{UNTRAINED: control})
            self.record(
                remark_on_control(trained, control, better=better, alpha=self.alpha)
            )

    def _add(self, measurement: Measurement, name: str) -> None:
        self._measured.append(measurement)
        self.secondary_effects.append(describe(replace(measurement, name=name)))


def _require_recordable(named: Mapping[str, object]) -> None:
    """Refuse what a row cannot show under a name.

    Raises:
        ClaimError: It is neither a measurement nor a mapping.
    """
    for name, value in named.items():
        if not isinstance(value, Measurement | Mapping):
            raise ClaimError(
                f"judge.record was given {name}={value!r}. Expected a measurement, or "
                f"a mapping of plain values. To show a number in words, pass a text."
            )
