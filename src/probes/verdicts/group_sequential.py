"""Looking more than once: the level of each look, so that all together keep theirs.

A cell may be judged at a growing number of demonstration sets, and stops when it is
decided. Judging each time at 5 % errs far more often than in 5 % of cells. Here every
look has the same nominal level (Pocock 1977, *Biometrika* 64:191), computed from the
correlation of the looks instead of looked up. No thresholds of the project here.

What is approximated: the statistic at n sets is taken to be normal and its correlation
with that at N > n sets to be √(n/N), as for a mean over nested independent sets. A
Student's p-value is then compared with the normal's level (Jennison and Turnbull 2000,
*Group Sequential Methods*, ch. 11). Queries are the same at every look, which makes
looks more alike than that, and the rule stricter than it need be (Slepian's
inequality). How often it errs is measured: ``probes calibrate --only
looks``.
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
"""Below it lies 1e-19 of a normal distribution: nothing beside rounding."""
NODES = 200
"""Points of the quadrature between two looks; 100 give the same ten digits."""


@dataclass(frozen=True, kw_only=True)
class Looks:
    """The numbers of demonstration sets at which a cell may be judged.

    Attributes:
        sizes: Growing; one size is an ordinary run.
    """

    sizes: tuple[int, ...]

    @classmethod
    def doubled(cls, first: int, most: int) -> Looks:
        """Look at a number of sets, then at twice as many, and so on.

        Args:
            first: Sets of the first look, at least 1.
            most: No look has more sets.

        Raises:
            OptionError: Not even a second look fits.
        """
        if most < 2 * first:
            raise OptionError(
                f"--until-decided is {most}, and the first look has {first} sets. "
                f"Expected at least {2 * first}, which is a second look. Pass "
                f"--until-decided {2 * first} or more, or smaller --sets."
            )
        n_looks = (most // first).bit_length()
        return cls(sizes=tuple(first << k for k in range(n_looks)))

    def after(self, size: int) -> int | None:
        """Return the size of the look that follows one; None after the last."""
        return next((n for n in self.sizes if n > size), None)

    def overall(self, p: float) -> float:
        """Compute the chance that any look has a p-value as small, at the margin.

        The p-value of a cell that could have stopped at any look; with one look it is
        what was given.
        """
        return _any_look(self.sizes, p)

    def nominal(self, alpha: float) -> float:
        """Compute the level of every look at which all together have ``alpha``."""
        return _nominal(self.sizes, alpha)

    def taken(self, size: int, alpha: float) -> dict[str, Any] | None:
        """Put the looks that were planned and taken into plain values.

        Returns:
            ``planned`` sizes, how many looks were ``taken``, the ``level`` of each;
            None where there is but one.
        """
        if len(self.sizes) == 1:
            return None
        return {
            "planned": list(self.sizes),
            "taken": self.sizes.index(size) + 1,
            "level": self.nominal(alpha),
        }

    def told(self, size: int, alpha: float) -> str:
        """Say which look this is, and its level; nothing where there is but one."""
        if len(self.sizes) == 1:
            return ""
        planned = ", ".join(map(str, self.sizes))
        return (
            f"look {self.sizes.index(size) + 1} of {len(self.sizes)} (at {planned} "
            f"sets), each at level {self.nominal(alpha):.4f}, all together at {alpha:g}"
        )


def nominal_alpha(n_looks: int, *, alpha: float) -> float:
    """Compute the level of each look when every look has twice the sets of the last."""
    return Looks(sizes=tuple(1 << k for k in range(n_looks))).nominal(alpha)


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
