"""Which cells a run measures first, and which it leaves out: ``--budget``."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from probes.cell import Cell
from probes.engine.machine_speed import MachineSpeed
from probes.engine.progress import duration
from probes.errors import OptionError
from probes.models.untrained import trained_name
from probes.observations.request import Request
from probes.run.plan import Estimator

UNITS = {"s": 1, "m": 60, "h": 3600}
TELLING = (4, 8)
"""Numbers of demonstrations that come first; claims about text are judged on both."""
MOST_NAMED = 20


def parse_budget(text: str | None) -> float | None:
    """Read ``--budget``.

    Args:
        text: A number with the unit h, m or s, such as ``2h``; None for no budget.

    Returns:
        Seconds; None for no budget.

    Raises:
        OptionError: The text is no such time.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)([hms])", text.strip())
    if match is None or float(match[1]) == 0:
        raise OptionError(
            f"--budget is {text!r}. Expected a time greater than 0, a number with the "
            f"unit h, m or s. Pass for instance --budget 2h, 45m or 90s."
        )
    return float(match[1]) * UNITS[match[2]]


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """A cell that a run could judge.

    Attributes:
        test: The name of its test.
        claim: The name of its claim.
        cell: The cell.
        requests: What it asks for.
    """

    test: str
    claim: str
    cell: Cell
    requests: tuple[Request, ...]

    @property
    def rank(self) -> tuple[int, bool]:
        """Its place in the order of measuring: the most telling cells come first."""
        if self.cell.variant in (None, "gd"):
            place = 0
        else:
            place = 2 if any(map(_moves_sub_model, self.requests)) else 1
        return place, self.cell.n_demonstrations not in TELLING

    @property
    def kind(self) -> str:
        """Its claim, variant and number of demonstrations."""
        variant = f"[{self.cell.variant}]" if self.cell.variant else ""
        return f"{self.claim}{variant}, {self.cell.n_demonstrations} demonstrations"


def _moves_sub_model(request: Request) -> bool:
    return "@" in getattr(request.learner, "weights", "")


class Budget:
    """Spends a time on the most telling cells of every model.

    Every model gets an equal share. What a model does not need is shared by the others.
    What an earlier cell has measured, or the store holds, costs nothing.

    Args:
        seconds: The time.
        estimator: Estimates single observations.
        speed: The machine's.
        n_workers: Processes that measure.
    """

    def __init__(
        self,
        seconds: float,
        estimator: Estimator,
        speed: MachineSpeed,
        *,
        n_workers: int = 1,
    ) -> None:
        self.seconds, self.n_workers = seconds, n_workers
        self._estimator, self._speed = estimator, speed
        self._times: dict[str, float] = {}
        self._paid: set[str] = set()

    def left_out(self, cells: Iterable[PlannedCell]) -> list[PlannedCell]:
        """List the cells for which the time is too short.

        Args:
            cells: All cells of the run, in its order.
        """
        cells = list(cells)
        needs = {cell.test: self._keys_of(cell) for cell in cells}
        by_model: dict[str, list[PlannedCell]] = defaultdict(list)
        for cell in cells:
            by_model[trained_name(cell.cell.model.name)].append(cell)
        left = self.seconds
        rest: list[PlannedCell] = []
        whole = {m: self._price(own, needs) for m, own in by_model.items()}
        models = sorted(by_model, key=whole.__getitem__)  # the small leave some over
        for place, model in enumerate(models):
            share = left / (len(models) - place)
            spent, too_dear = self._spend(share, by_model[model], needs)
            left, rest = left - spent, [*rest, *too_dear]
        return rest

    def price(self, cells: Iterable[PlannedCell]) -> float:
        """Estimate the time that cells take beyond what has been spent."""
        cells = list(cells)
        return self._price(cells, {cell.test: self._keys_of(cell) for cell in cells})

    def _spend(
        self,
        share: float,
        cells: Sequence[PlannedCell],
        needs: Mapping[str, frozenset[str]],
    ) -> tuple[float, list[PlannedCell]]:
        spent, too_dear = 0.0, []
        for cell in sorted(cells, key=lambda each: each.rank):
            price = self._price([cell], needs)
            if spent + price > share:
                too_dear.append(cell)
            else:
                spent += price
                self._paid |= needs[cell.test]
        return spent, too_dear

    def _price(
        self, cells: Iterable[PlannedCell], needs: Mapping[str, frozenset[str]]
    ) -> float:
        keys = {key for cell in cells for key in needs[cell.test]} - self._paid
        return sum(self._times[key] for key in keys)

    def _keys_of(self, cell: PlannedCell) -> frozenset[str]:
        """Name what must be measured for a cell, and note how long each takes."""
        keys = set()
        for request in cell.requests:
            for key, needed in self._estimator.missing(request):
                keys.add(key)
                if key not in self._times:
                    self._times[key] = self._estimator.seconds(
                        needed, self._speed, n_workers=self.n_workers
                    )
        return frozenset(keys)


def left_out_lines(
    rest: Sequence[PlannedCell], n_cells: int, *, budget: str, seconds: float
) -> list[str]:
    """Say which cells a budget leaves out; no lines if it is enough for all.

    Args:
        rest: The cells that are left out.
        n_cells: All cells of the run.
        budget: The budget as it was given.
        seconds: The time that the rest would take.
    """
    if not rest:
        return []
    counts = Counter(cell.kind for cell in rest).most_common()
    lines = [
        f"--budget {budget} left out {len(rest)} of {n_cells} cells. They take about "
        f"{duration(seconds)} more; a run without --budget measures them:",
        *(f"  {kind}: {n}" for kind, n in counts[:MOST_NAMED]),
    ]
    n_rest = sum(n for _, n in counts[MOST_NAMED:])
    return [*lines, f"  others: {n_rest}"] if n_rest else lines


@dataclass(frozen=True, kw_only=True)
class BudgetChoice:
    """What a budget leaves out, as all processes of a run agree on it.

    Attributes:
        tests: Names of the tests that are left out.
        lines: The same in words.
        n_cells: The cells of the run before any was left out.
    """

    tests: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    n_cells: int = 0

    @property
    def leaves_nothing(self) -> str:
        """The message if a budget is enough for no cell; else empty."""
        if not self.n_cells or len(self.tests) < self.n_cells:
            return ""
        return (
            f"{self.lines[0].partition(' cells.')[0]} cells, which are all. Expected a "
            f"time in which at least one can be measured. Pass a larger --budget, or "
            f"--effort quick."
        )


class BudgetFile:
    """The choice of a run's first process, which the others read.

    Later processes may see a fuller store and another speed, and must nevertheless run
    the same tests.

    Args:
        folder: Where the processes of a run write.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "budget.choice"

    def read(self) -> BudgetChoice | None:
        """Read the choice; None if none was made."""
        if not self._path.exists():
            return None
        content = json.loads(self._path.read_text("utf-8"))
        return BudgetChoice(
            tests=tuple(content["tests"]),
            lines=tuple(content["lines"]),
            n_cells=content["n_cells"],
        )

    def agree(self, budget: Budget, given: str, cells: list[PlannedCell]) -> None:
        """Choose, unless another process has chosen."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path.with_suffix(".lock")):
            if self._path.exists():
                return
            rest = budget.left_out(cells)
            n, seconds = len(cells), budget.price(rest)
            lines = left_out_lines(rest, n, budget=given, seconds=seconds)
            tests = [cell.test for cell in rest]
            text = json.dumps({"tests": tests, "lines": lines, "n_cells": n})
            self._path.write_text(text, "utf-8")
