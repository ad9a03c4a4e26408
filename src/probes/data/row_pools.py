"""The rows of one group, shuffled and divided into demonstrations and queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from probes.cell import Settings
from probes.data.labelled_rows import LabelledRows
from probes.data.template import Row
from probes.errors import DataError
from probes.hashing import seed_of

Queries = Literal["verdict", "calibration", "demonstrated", "reversed"]
"""What is asked.

- "verdict": test rows, on which claims are judged.
- "calibration": train rows that never demonstrate, for choices.
- "demonstrated": the set's own demonstrations: has their direct form been learned?
- "reversed": the same in reverse: for the input, given the answer.
"""


@dataclass(frozen=True, kw_only=True)
class RowPool:
    """The shuffled rows of one group.

    Attributes:
        calibration: Train rows that are calibration queries and never demonstrate.
        rest: The other train rows, from which demonstration sets are taken.
        queries: Test rows that are queries.
        n_demonstrations: Demonstrations in each set.
        seed: Seed of the run.
    """

    calibration: tuple[Row, ...]
    rest: tuple[Row, ...]
    queries: tuple[Row, ...]
    n_demonstrations: int
    seed: int

    @classmethod
    def of(cls, rows: LabelledRows, settings: Settings, group: str, n: int) -> RowPool:
        """Shuffle the rows of a group and divide them.

        Args:
            rows: The dataset.
            settings: Sizes and seed.
            group: The group.
            n: Demonstrations in each set.

        Raises:
            DataError: The group has too few rows for disjoint sets.
        """
        train = _shuffled(rows.train, group, settings.seed)
        test = _shuffled(rows.test, group, settings.seed)
        _require_enough(rows, settings, group, n, {"train": train, "test": test})
        return cls(
            calibration=train[: settings.n_calibration],
            rest=train[settings.n_calibration :],
            queries=test[: settings.n_queries],
            n_demonstrations=n,
            seed=settings.seed,
        )

    def asked(self, queries: Queries, shown: tuple[Row, ...]) -> tuple[Row, ...]:
        """Give the rows of which a set's queries are made.

        Args:
            queries: What is asked.
            shown: The set's demonstrations.
        """
        if queries in ("demonstrated", "reversed"):
            return shown
        return self.queries if queries == "verdict" else self.calibration

    def demonstrations(self, index: int, draw: int) -> tuple[Row, ...]:
        """Take the demonstrations of a set of this group.

        Args:
            index: Number of the set within the group.
            draw: 0 takes the set's own rows; others draw from all other rows.

        Raises:
            DataError: There are too few other rows.
        """
        n = self.n_demonstrations
        own = range(index * n, (index + 1) * n)
        if draw == 0:
            return self.rest[own.start : own.stop]
        others = [row for i, row in enumerate(self.rest) if i not in own]
        if len(others) < n:
            raise DataError(
                f"Only {len(others)} train rows are left after one demonstration set, "
                f"and another set needs {n}. Expected twice --demos and the "
                f"calibration queries. Pass smaller --demos or more rows."
            )
        rng = np.random.default_rng(seed_of("draw", self.seed, index, draw))
        return tuple(others[i] for i in rng.choice(len(others), n, replace=False))


def groups_of(rows: LabelledRows) -> list[str]:
    """List the groups of the train rows, in alphabetical order."""
    return sorted({row.group for row in rows.train})


def sets_per_group(rows: LabelledRows, settings: Settings) -> int:
    """Count the demonstration sets of each group, rounded up."""
    return -(-settings.n_sets // len(groups_of(rows)))


def largest_set(rows: LabelledRows, settings: Settings) -> int:
    """Count the demonstrations in each set if disjoint sets use all train rows."""
    groups = groups_of(rows)
    fewest = min(sum(row.group == group for row in rows.train) for group in groups)
    return max(fewest - settings.n_calibration, 0) // sets_per_group(rows, settings)


def _require_enough(
    rows: LabelledRows,
    settings: Settings,
    group: str,
    n: int,
    splits: dict[str, tuple[Row, ...]],
) -> None:
    n_sets = sets_per_group(rows, settings)
    needed = {
        "train": settings.n_calibration + n_sets * n,
        "test": settings.n_queries,
    }
    for split, of_group in splits.items():
        if len(of_group) < needed[split]:
            whose = f" of group {group!r}" if group else ""
            raise DataError(
                f"{rows.name} has {len(of_group)} {split} rows{whose}, and the "
                f"cell needs {needed[split]} ({n_sets} sets × {n} demonstrations + "
                f"{settings.n_calibration} calibration queries from train, "
                f"{settings.n_queries} queries from test). Expected enough rows "
                f"for disjoint sets. Pass smaller --demos, --sets, --calibration "
                f"or --queries, or more rows."
            )


def _shuffled(rows: tuple[Row, ...], group: str, seed: int) -> tuple[Row, ...]:
    own = [row for row in rows if row.group == group]
    order = np.random.default_rng(seed_of("rows", seed, group)).permutation(len(own))
    return tuple(own[i] for i in order)
