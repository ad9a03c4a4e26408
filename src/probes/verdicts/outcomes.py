"""What becomes of a verdict: what it raises, and what an earlier run expects."""

from __future__ import annotations

from dataclasses import dataclass

from probes.verdicts.judgement import Judgement, effect_line


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
        is_strict: Whether any other verdict fails, as in the record of the shipped
            matrix; otherwise only the opposite one fails, as for another run.
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


def conclude(judgement: Judgement, expected: Expectation | None) -> None:
    """Turn a verdict into an outcome: *supported* if nothing is raised.

    Raises:
        Changed: The verdict is not the recorded one.
        Refuted: It is refuted (as recorded, or there is no record).
        Undecided: It is inconclusive or not applicable.
    """
    result = f"{judgement.verdict}: {effect_line(judgement.effect)}"
    if expected is not None and expected.forbids(judgement.verdict):
        raise Changed(f"The record says {expected}; this run says {result}")
    if judgement.verdict == "refuted":
        raise Refuted(result)
    if judgement.verdict != "supported":
        raise Undecided(judgement.reason)
