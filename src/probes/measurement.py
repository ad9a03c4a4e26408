"""The one type that every measure returns."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.errors import ShapeError

Array = NDArray[np.float64]
UNBOUNDED = 1e6
"""A finite number instead of no bound: far beyond every value of every measure."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Numbers of one measured quantity, one for each demonstration set and query.

    Attributes:
        name: The quantity, as the literature calls it.
        values: Shape (n_demonstration_sets, n_queries), float64, no NaN.
        unit: The unit of the values.
        zero: What the value 0 means.
        one: What the value 1 means; empty if 1 is nothing special.
        chance: The value that unrelated inputs have; None if it is not defined.
        least: Lower bounds of the true values, if only part of each answer was kept;
            None if the values are exact.
        most: Upper bounds of the true values.
        unit_values: The unit's own value for each set and query, in the unit, with mean
            1, if the unit was estimated from the same answers; None if it is known.
            Tests and intervals let its error count (see ``verdicts.decision``).

    Raises:
        ShapeError: The values are not a non-empty matrix of finite numbers.
    """

    name: str
    values: Array
    unit: str
    zero: str = ""
    one: str = ""
    chance: float | None = None
    least: Array | None = None
    most: Array | None = None
    unit_values: Array | None = None

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        if values.ndim != 2 or values.size == 0:
            raise ShapeError(
                f"The measurement {self.name!r} has values of shape {values.shape}. "
                f"Expected (n_demonstration_sets, n_queries), at least (1, 1). Return "
                f"one number for each demonstration set and query."
            )
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise ShapeError(
                f"The measurement {self.name!r} has {bad} of {values.size} values that "
                f"are NaN or infinite. Expected finite numbers. Define the measure "
                f"where its formula divides by 0."
            )
        object.__setattr__(self, "values", values)

    @property
    def n_sets(self) -> int:
        """How many demonstration sets were measured."""
        return int(self.values.shape[0])

    @property
    def n_queries(self) -> int:
        """How many queries were measured for each set."""
        return int(self.values.shape[1])

    @property
    def mean(self) -> float:
        """The mean over sets and queries, in the measurement's unit."""
        return math.fsum(self.values.ravel().tolist()) / self.values.size

    @property
    def set_means(self) -> tuple[float, ...]:
        """The mean of each demonstration set, to four digits, for reports."""
        return tuple(float(f"{mean:.4g}") for mean in self.values.mean(axis=1))

    @property
    def is_exact(self) -> bool:
        """Whether the values are the true ones."""
        return self.least is None and self.most is None

    def at_least(self) -> Measurement:
        """Give the measurement with the smallest values that it may have."""
        return self if self.least is None else self._valued(self.least)

    def at_most(self) -> Measurement:
        """Give the measurement with the largest values that it may have."""
        return self if self.most is None else self._valued(self.most)

    def _valued(self, values: Array) -> Measurement:
        return dataclasses.replace(self, values=values, least=None, most=None)

    def _unit_or_ones(self) -> Array:
        return (
            np.ones_like(self.values) if self.unit_values is None else self.unit_values
        )

    def minus(self, other: Measurement) -> Measurement:
        """Subtract another measurement of the same quantity, cell by cell.

        Raises:
            ShapeError: The two were not measured on the same sets and queries, or in
                the same unit.
        """
        if self.values.shape != other.values.shape:
            raise ShapeError(
                f"{self.name!r} has shape {self.values.shape} and {other.name!r} has "
                f"{other.values.shape}. Expected the same sets and queries. Measure "
                f"both on the same cell."
            )
        if not np.array_equal(self._unit_or_ones(), other._unit_or_ones()):
            raise ShapeError(
                f"{self.name!r} and {other.name!r} are in units that were estimated "
                f"from different answers. Expected one unit. Measure both against the "
                f"same learner."
            )
        least = self.at_least().values - other.at_most().values
        most = self.at_most().values - other.at_least().values
        is_exact = self.is_exact and other.is_exact
        return dataclasses.replace(
            self,
            name=f"{self.name} difference",
            values=self.values - other.values,
            zero="no difference",
            one="",
            chance=0.0,
            least=None if is_exact else least,
            most=None if is_exact else most,
        )


SAME = 1e-9
"""Of the largest value: two quantities that differ by less everywhere are rounding."""


def are_identical(one: Measurement, other: Measurement) -> bool:
    """Say whether two measurements agree in every value, up to rounding."""
    gap = np.abs(one.values - other.values).max()
    return bool(gap <= SAME * np.abs(one.values).max())


def lead_of_nearest(distances: Mapping[str, Measurement]) -> Measurement:
    """Subtract the smallest of several distances from the next: its lead.

    Args:
        distances: At least two of one quantity, by the name of the learner.
    """
    first, second = sorted(distances, key=lambda name: distances[name].mean)[:2]
    lead = distances[second].minus(distances[first])
    name = f"lead of {first} over {second}, the next nearest"
    return dataclasses.replace(lead, name=name, zero="equally near")
