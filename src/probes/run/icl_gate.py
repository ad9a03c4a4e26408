"""The ICL gate: cells in which the demonstrations teach the model nothing.

A claim with ``needs_icl`` is judged only where the model learns in context; elsewhere
it is *not applicable*. A gate is a list of requirements, checked one after the other.
Two callers read the list: the fixture ``icl_gate``, before a claim's test runs, and
``--engine`` and ``--shard``, before they measure what only open cells need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from probes.cards import Family
from probes.measurement import Measurement
from probes.measures import explained_share, gold_probability
from probes.observations.observation import Observation
from probes.verdicts.judge import Judge


@dataclass(frozen=True, kw_only=True)
class GateRequirement:
    """One gain that a cell must show.

    Attributes:
        observations: Names of the observations that it compares, in order.
        gain: From these observations to the gain, which must be clearly above 0.
        otherwise: Why the claim does not apply where the gain is not clear.
        waived_if_exact: Whether cells that algebra decides need not meet it.
    """

    observations: tuple[str, ...]
    gain: Callable[..., Measurement]
    otherwise: str
    waived_if_exact: bool = False

    def check(self, judge: Judge, *observations: Observation) -> None:
        """Dismiss the cell unless the gain is clear.

        Args:
            judge: The cell's judge.
            observations: Those that ``observations`` names, in the same order.

        Raises:
            Undecided: The gain is not clearly above 0.
        """
        gain = self.gain(*observations)
        if not (self.waived_if_exact and judge.is_exact):
            judge.requires(gain, otherwise=self.otherwise)


def _gain_over(arm: str, icl: Observation, other: Observation) -> Measurement:
    gain = gold_probability(icl).minus(gold_probability(other))
    return replace(gain, name=f"gain of ICL over {arm}")


def _gains_over(arm: str, observation: str) -> GateRequirement:
    return GateRequirement(
        observations=("icl", observation),
        gain=partial(_gain_over, arm),
        otherwise=f"ICL gains nothing over {arm}: nothing to explain",
    )


ICL_GATES: dict[Family, tuple[GateRequirement, ...]] = {
    "text": (
        _gains_over("zero-shot", "base"),
        # Not measured where the demonstrations teach nothing at all.
        _gains_over("shuffled labels", "icl_shuffled_labels"),
    ),
    "regression": (
        GateRequirement(
            observations=("icl",),
            gain=explained_share,
            otherwise="ICL errs as much as the answer 0: nothing to explain",
            waived_if_exact=True,  # algebra needs no evidence of learning
        ),
    ),
}
"""The requirements for claims on each family of tasks, in the order of checking."""


def gate_observations(on: Family) -> list[str]:
    """Name every observation that the gate of a family compares, each once."""
    names = (name for part in ICL_GATES[on] for name in part.observations)
    return list(dict.fromkeys(names))
