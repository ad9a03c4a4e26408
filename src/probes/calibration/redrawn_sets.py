"""Cells that are judged many times, each time on other sets of a larger pool.

With a new seed, everything is trained anew. A run can instead observe a pool of
demonstration sets once, and judge every cell on many draws of some of them. Draws share
sets, and all of them share the choice of GD's rate. So they are not independent: they
tell how often a verdict is wrong for this pool, and few seeds still tell little about
other choices.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from probes.hashing import seed_of
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.results.matrix_correction import correct_verdicts
from probes.results.rows import Row, write_text

SETS_JUDGED = 10
"""Sets of a draw, as many as a cell has by default."""
VERDICTS = "redraws.json"
PLACE = ("claim", "model", "dataset")


@dataclass(frozen=True, kw_only=True)
class SetDraw:
    """Some of the demonstration sets of a pool, in place of a cell's own.

    Attributes:
        n_pool: Sets in the pool.
        chosen: Their numbers in the pool. The set in place i is of the same group of
            rows as set i of the pool.
    """

    n_pool: int
    chosen: tuple[int, ...]

    @classmethod
    def of(cls, *, n_pool: int, n_sets: int, n_groups: int, seed: int) -> SetDraw:
        """Draw sets without repetition, as many of each group as a cell has.

        Args:
            n_pool: Sets in the pool; set i is of group i modulo ``n_groups``.
            n_sets: Sets to draw, at most ``n_pool``.
            n_groups: Groups of rows; 1 if there are none.
            seed: Seed of the draw.
        """
        rng = np.random.default_rng(seed_of("sets of a pool", seed))
        chosen = np.zeros(n_sets, np.int64)
        for first in range(min(n_groups, n_sets)):
            places = np.arange(first, n_sets, n_groups)
            chosen[places] = rng.permutation(np.arange(first, n_pool, n_groups))[
                : len(places)
            ]
        return cls(n_pool=n_pool, chosen=tuple(chosen.tolist()))

    def observe(
        self, request: Request, ask: Callable[[Request], Observation]
    ) -> Observation:
        """Answer a request for a cell's sets with the chosen ones of the pool.

        Args:
            request: Asked by a claim. A request for another number of sets than are
                chosen is answered as it is.
            ask: Answers requests.
        """
        settings = request.settings
        if settings.n_sets != len(self.chosen):
            return ask(request)
        whole = replace(request, settings=replace(settings, n_sets=self.n_pool))
        return self._taken(ask(whole), request.n_sets // settings.n_sets)

    def _taken(self, pool: Observation, n_views: int) -> Observation:
        """Take the chosen sets, each with all its views; what sets share stays."""
        places = np.array(self.chosen)[:, None] * n_views + np.arange(n_views)
        arrays = {
            name: array[places.ravel()]
            if len(array) == self.n_pool * n_views
            else array
            for name, array in pool.arrays.items()
        }
        return replace(pool, arrays=arrays)


def write_redraws(redrawn: Iterable[list[Row]], folder: Path) -> None:
    """Correct the rows of every draw, and write how often each cell got a verdict.

    Args:
        redrawn: For every draw, the rows of all cells.
        folder: The folder of the run's report.
    """
    found: dict[tuple[str, ...], tuple[Counter[str], Counter[str]]] = {}
    for rows in redrawn:
        correct_verdicts(rows)
        for row in rows:
            place = tuple(row[name] for name in PLACE)
            alone, corrected = found.setdefault(place, (Counter(), Counter()))
            alone[row["alone"] or row["verdict"]] += 1
            corrected[row["verdict"]] += 1
    counts = [
        {**dict(zip(PLACE, place, strict=True)), "verdicts": a, "corrected": c}
        for place, (a, c) in found.items()
    ]
    write_text(json.dumps(counts) + "\n", folder / VERDICTS)


def read_redraws(folder: Path) -> list[dict[str, Any]]:
    """Read the counts that ``write_redraws`` wrote, one entry for each cell."""
    counts: list[dict[str, Any]] = json.loads((folder / VERDICTS).read_text("utf-8"))
    return counts
