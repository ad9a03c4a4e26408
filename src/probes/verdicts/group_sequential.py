"""Group-sequential designs: the level of each interim analysis.

A cell may be judged at a growing number of demonstration sets, and stops when it is
decided. Judging at 5 % each time is wrong far more often than in 5 % of cells. Here
every interim analysis (a look) has the same nominal level (Pocock 1977, *Biometrika*
64:191), computed from the correlation of the looks.

An approximation: the statistic at n sets is taken to be normal and its correlation
with that at N > n sets to be √(n/N), as for a mean over nested independent sets. A
Student's p-value is then compared with the normal's level (Jennison and Turnbull 2000,
*Group Sequential Methods*, ch. 11). Queries are the same at every look, which makes
looks more alike than that, and the rule stricter than it need be (Slepian's
inequality). ``probes calibrate --only looks`` measures how often it is wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from probes.errors import OptionError

LOWEST = -9.0
"""Below it lies 1e-19 of a normal distribution, which is less than rounding."""
NODES = 200
"""Points of the quadrature between two looks; 100 give the same ten digits."""


@dataclass(frozen=True, kw_only=True)
class GroupSequentialDesign:
    """The numbers of demonstration sets at which a cell may be judged.

    Attributes:
        sizes: In growing order; an ordinary run has one size.
    """

    sizes: tuple[int, ...]

    @classmethod
    def doubling(cls, first: int, most: int) -> GroupSequentialDesign:
        """Plan a look at a number of sets, then at twice as many, and so on.

        Args:
            first: Sets of the first look, at least 1.
            most: The largest number of sets.

        Raises:
            OptionError: There is no room for a second look.
        """
        if most < 2 * first:
            raise OptionError(
                f"--until-decided is {most}, and the first look has {first} sets. "
                f"Expected at least {2 * first}, which is a second look. Pass "
                f"--until-decided {2 * first} or more, or smaller --sets."
            )
        n_looks = (most // first).bit_length()
        return cls(sizes=tuple(first << k for k in range(n_looks)))

    def next_size(self, size: int) -> int | None:
        """Return the size of the next look; None after the last."""
        return next((n for n in self.sizes if n > size), None)

    def overall_p(self, p: float) -> float:
        """Compute the chance that any look has a p-value as small, at the margin.

        This is the p-value of a cell that could have stopped at any look. With one
        look, it is the p-value itself.
        """
        return _any_look(self.sizes, p)

    def nominal_level(self, alpha: float) -> float:
        """Compute the level of every look, so that all together have ``alpha``."""
        return _nominal(self.sizes, alpha)

    def to_row(self, size: int, alpha: float) -> dict[str, Any] | None:
        """Put the planned and the taken looks into plain values.

        Returns:
            ``planned`` sizes, how many looks were ``taken``, the ``level`` of each;
            None if there is only one.
        """
        if len(self.sizes) == 1:
            return None
        return {
            "planned": list(self.sizes),
            "taken": self.sizes.index(size) + 1,
            "level": self.nominal_level(alpha),
        }

    def remark(self, size: int, alpha: float) -> str:
        """Say which look this is, and its level; empty if there is only one."""
        if len(self.sizes) == 1:
            return ""
        planned = ", ".join(map(str, self.sizes))
        level = self.nominal_level(alpha)
        return (
            f"look {self.sizes.index(size) + 1} of {len(self.sizes)} (at {planned} "
            f"sets), each at level {level:.4f}, all together at {alpha:g}"
        )


@lru_cache(maxsize=4096)
def _any_look(sizes: tuple[int, ...], p: float) -> float:
    """Sum, look by look, the chance that a look is the first beyond the bound.

    Recursive integration over the statistic of the look before (Armitage, McPherson and
    Rowe 1969, *J. R. Stat. Soc. A* 132:235).
    """
    from scipy.special import ndtr, ndtri

    if len(sizes) == 1 or p <= 0.0:
        return p
    bound = -float(ndtri(p))
    if bound <= LOWEST:
        return 1.0
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    half = (bound - LOWEST) / 2
    z, weights = LOWEST + half * (nodes + 1), half * weights
    within = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)  # density, not yet beyond
    total = p
    for before, after in pairwise(sizes):
        shared = math.sqrt(before / after)
        own = math.sqrt(1 - before / after)
        mass = weights * within
        total += float(mass @ ndtr((shared * z - bound) / own))
        steps = (z[:, None] - shared * z[None, :]) / own
        within = np.exp(-(steps**2) / 2) @ mass / (own * math.sqrt(2 * math.pi))
    return min(1.0, total)


@lru_cache(maxsize=64)
def _nominal(sizes: tuple[int, ...], alpha: float) -> float:
    if len(sizes) == 1:
        return alpha
    low, high = alpha / len(sizes), alpha  # Bonferroni's level is never too large
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if _any_look(sizes, middle) < alpha else (low, middle)
        )
    return low
