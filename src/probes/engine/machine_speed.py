"""How long counted work takes on this machine, from a measurement of its speed."""

from __future__ import annotations

from dataclasses import dataclass

from probes.engine.cost_model import Cost
from probes.engine.matmul_peak import matmul_peak, memory_bandwidth

SHARE_OF_PEAK = 0.55
"""The share of the matmul peak that forward and backward passes reach, without what
``SECONDS_AN_ANSWER`` and ``SECONDS_A_STEP`` count. See docs/options.md."""
SECONDS_AN_ANSWER = 1e-4
"""For each next token predicted: prompts are encoded, answers compared and stored."""
SECONDS_A_STEP = 1e-3
"""For each step that moves the weights, besides its products."""
SECONDS_AN_OBSERVATION = 0.03
"""For each observation, also of regression tasks, whose work is not counted."""


@dataclass(frozen=True, kw_only=True)
class MachineSpeed:
    """How fast a device is.

    Attributes:
        peak: FLOP/s in a large matrix product, with all threads of this process.
        bandwidth: Bytes of memory read in a second.
        share: The share of the peak that passes reach.
    """

    peak: float
    bandwidth: float
    share: float = SHARE_OF_PEAK

    @classmethod
    def measure(cls, device: str, dtype: str) -> MachineSpeed:
        """Measure a device; this takes less than a second, and imports torch.

        Args:
            device: As in ``Settings``.
            dtype: As in ``Settings``.
        """
        place = "cuda" if device == "auto" else device
        return cls(peak=matmul_peak(place, dtype), bandwidth=memory_bandwidth(place))

    def seconds(self, cost: Cost, *, n_workers: int = 1) -> float:
        """Estimate the time of some work.

        Args:
            cost: The work.
            n_workers: Processes that share the machine. Products gain nothing by that,
                because a single process has all threads; everything else is divided.
        """
        products = cost.flops / (self.share * self.peak) + cost.moved / self.bandwidth
        rest = (
            cost.answered * SECONDS_AN_ANSWER
            + cost.steps * SECONDS_A_STEP
            + cost.n_observations * SECONDS_AN_OBSERVATION
        )
        return products + rest / n_workers
