"""Rows that come in groups: which groups a verdict speaks of, and means of groups.

A demonstration set and its queries come from one group, such as a concept or a topic.
Sets of one group are alike, so they are not independent draws from all groups that
there may be. A verdict speaks of one of two populations:

- *These groups*: new demonstration sets of the groups of the data set. Sets are the
  units, and the spread between groups counts as if it were a spread of sets, which is
  more than is needed (a stratified sample varies less).
- *New groups*: the groups are a random sample of more, with sets nested in them. Then
  groups are the units: each counts once, with its mean, however many sets it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from probes.measurement import Array, Measurement

Population = Literal["these groups", "new groups"]
"""The groups that a verdict speaks of."""


@dataclass(frozen=True, kw_only=True)
class GroupMeans(Measurement):
    """A measurement whose rows are groups: each the mean over the sets of one group."""


@dataclass(frozen=True, kw_only=True)
class RowGroups:
    """The groups of a data set, and which groups its verdicts speak of.

    Attributes:
        n_groups: How many there are. Demonstration sets take turns among them (see
            ``data.text_tasks``): set i is of group i modulo ``n_groups``.
        speaks_of: The population.
    """

    n_groups: int
    speaks_of: Population

    @property
    def other(self) -> RowGroups:
        """The same groups, with a verdict on the other population."""
        is_new = self.speaks_of == "new groups"
        return replace(self, speaks_of="these groups" if is_new else "new groups")

    @property
    def population(self) -> str:
        """The population in words."""
        if self.speaks_of == "new groups":
            return f"new groups of rows like these {self.n_groups}"
        return f"new demonstration sets of these {self.n_groups} groups of rows"

    def view(self, given: Any, *, shape: tuple[int, int]) -> Any:
        """Give what a test sees of measurements: means of groups for new groups.

        Args:
            given: A measurement, or a mapping of them; all else stays as it is.
            shape: The cell's (n_sets, n_queries). Other shapes are not sets by queries.
        """
        if isinstance(given, Mapping):
            return {name: self.view(one, shape=shape) for name, one in given.items()}
        is_by_set = isinstance(given, Measurement) and given.values.shape == shape
        if self.speaks_of == "these groups" or not is_by_set:
            return given
        return given if isinstance(given, GroupMeans) else group_means(given, self)


def group_means(measurement: Measurement, groups: RowGroups) -> GroupMeans:
    """Average a measurement over the sets of each group.

    A unit that is estimated has the mean 1 over groups afterwards.
    """
    given = {each.name: getattr(measurement, each.name) for each in fields(Measurement)}
    arrays = {
        name: average_by_group(value, groups.n_groups)
        for name, value in given.items()
        if isinstance(value, np.ndarray)
    }
    size = 1.0 if measurement.unit_values is None else arrays["unit_values"].mean()
    return GroupMeans(**given | {name: one / size for name, one in arrays.items()})


def average_by_group(values: Array, n_groups: int) -> Array:
    """Average over the sets of each group.

    Args:
        values: Shape (..., n_sets, n_queries); set i is of group i modulo ``n_groups``.
        n_groups: Number of groups.

    Returns:
        Shape (..., number of groups that have a set, n_queries).
    """
    n_present = min(n_groups, values.shape[-2])
    by_group = [
        values[..., first::n_groups, :].mean(axis=-2) for first in range(n_present)
    ]
    return np.stack(by_group, axis=-2)
