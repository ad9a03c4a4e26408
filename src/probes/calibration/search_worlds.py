"""How often the search for GD's rate is right about its own result.

GD trains linear models, whose walks have a closed form, so every optimum is known. The
search is the instrument's own. It begins at a rate that is right, or wrong by orders of
magnitude; in one world the optimum lies beyond its budget. It looks for GD at its best
at the task, and for the GD that is nearest to ICL, where ICL is GD at another rate. The
claim of likeness is then true, and *refuted* is wrong.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from probes.calibration.whole_instrument import CLAIM, MARGIN, TASKS, surrogates
from probes.cell import Cell, Settings
from probes.hashing import seed_of
from probes.learners.gradient_walks import half_octaves
from probes.learners.rate_lattice import Curve
from probes.learners.rate_search import Optimum, RateSearch
from probes.learners.search_effort import STANDARD
from probes.measurement import Array, Measurement
from probes.measures.likeness import RESOLUTION
from probes.verdicts.judge import Judge
from probes.verdicts.outcomes import Refuted, Undecided

N_INPUTS, N_SETS, N_JUDGED, N_QUERIES = 10, 4, 10, 40
NOISE = 0.3  # of the validation optimum: too many passes fit what is not there
CLOSE = 0.01
"""The search is right if it is at most so much worse than the best of all: as a share
of the best loss, or of the way from the untouched model to ICL."""
MOST_PASSES = 1 << 22
RATES = 10 ** np.arange(-4, 0.5, 1 / 16)
"""What brute force tries, in units of the inverse of the largest curvature."""

Place = tuple[float, int]
Value = Callable[[Array], Array]


@dataclass(frozen=True, kw_only=True)
class SearchWorld:
    """A distribution of linear models, and where the search begins.

    Attributes:
        name: The name in the table.
        centre: The rate at which the search begins; 1 is half the largest stable one.
        condition: Ratio of the largest curvature to the smallest.
        passes: Passes of the GD that is ICL: the least and the most.
    """

    name: str
    centre: float = 1.0
    condition: float = 10.0
    passes: tuple[int, int] = (4, 64)


WORLDS = (
    SearchWorld(name="the first rate is right"),
    SearchWorld(name="100 times too high", centre=1e2),
    SearchWorld(name="100 times too low", centre=1e-2),
    SearchWorld(name="10,000 times too high", centre=1e4),
    SearchWorld(name="10,000 times too low", centre=1e-4),
    SearchWorld(name="1,000,000,000 times too high", centre=1e9),
    SearchWorld(name="1,000,000,000 times too low", centre=1e-9),
    SearchWorld(
        name="the optimum needs more passes than the budget",
        condition=1e5,
        passes=(1 << 16, 1 << 18),
    ),
)
CRITERIA = ("best at the task", "nearest to ICL")


@dataclass(frozen=True, kw_only=True)
class SearchCount:
    """What became of the searches in one world.

    Attributes:
        world: Its name.
        criterion: One of ``CRITERIA``.
        runs: Number of searches.
        right: Called interior, and within ``CLOSE`` of the best of all.
        wrong: Called interior, and further off.
        open: Not called interior.
        worst: How much worse than the best of all a search is that is called interior,
            at most; 0 if there is none.
        verdicts: Of a claim of likeness, by "interior" or "open" and the verdict; empty
            where the search is for the task.
    """

    world: str
    criterion: str
    runs: int
    right: int
    wrong: int
    open: int
    worst: float
    verdicts: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class LinearModels:
    """Linear models in the eigenbasis of their demonstrations.

    Attributes:
        curvatures: Shape (n_sets, n_inputs); the largest is 1.
        trained: What training converges to, shape (n_sets, n_inputs).
        wanted: What new data ask for, shape (n_sets, n_inputs).
    """

    curvatures: Array
    trained: Array
    wanted: Array

    @classmethod
    def draw(cls, world: SearchWorld, n_sets: int, seed: int) -> LinearModels:
        """Draw models of a world."""
        rng = np.random.default_rng(seed)
        shape = (n_sets, N_INPUTS)
        exponents = rng.uniform(0, 1, shape)
        exponents[:, 0], exponents[:, -1] = 0, 1
        trained = rng.standard_normal(shape)
        return cls(
            curvatures=world.condition**-exponents,
            trained=trained,
            wanted=trained + NOISE * rng.standard_normal(shape),
        )

    def weights(self, rate: float, passes: Array) -> Array:
        """Train from 0, shape (n_passes, n_sets, n_inputs)."""
        with np.errstate(over="ignore"):
            left = (1 - rate * self.curvatures) ** passes[:, None, None]
        return np.asarray(self.trained * (1 - left))

    def values(self, target: Array, rate: float, passes: Array) -> Array:
        """Measure the squared distance to a target, in units of that of 0."""
        with np.errstate(over="ignore", invalid="ignore"):
            gaps = self.weights(rate, passes) - target
            values = (gaps**2).mean(axis=(1, 2)) / (target**2).mean()
        return np.asarray(np.where(np.isfinite(values), values, np.inf))

    @cached_property
    def best(self) -> float:
        """The least loss on new data that brute force finds."""
        passes = np.array(half_octaves(MOST_PASSES), dtype=float)
        return min(float(self.values(self.wanted, r, passes).min()) for r in RATES)


def search_counts(*, runs: int) -> Iterator[SearchCount]:
    """Search in every world, by both criteria, as often as asked."""
    for world in WORLDS:
        yield _count(world, "best at the task", runs, _search_for_task)
        yield _count(world, "nearest to ICL", runs, _search_for_icl)


def _count(
    world: SearchWorld,
    criterion: str,
    runs: int,
    search_once: Callable[[SearchWorld, int], tuple[Optimum, float, str]],
) -> SearchCount:
    states: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    worst = 0.0
    for run in range(runs):
        optimum, excess, verdict = search_once(world, run)
        place = "interior" if optimum.is_interior else "open"
        state = "right" if excess <= CLOSE else "wrong"
        states[state if optimum.is_interior else "open"] += 1
        worst = max(worst, excess if optimum.is_interior else 0.0)
        if verdict:
            verdicts[f"{place}, {verdict}"] += 1
    return SearchCount(
        world=world.name,
        criterion=criterion,
        runs=runs,
        right=states["right"],
        wrong=states["wrong"],
        open=states["open"],
        worst=worst,
        verdicts=dict(sorted(verdicts.items())),
    )


def _search_for_task(world: SearchWorld, run: int) -> tuple[Optimum, float, str]:
    models = LinearModels.draw(world, N_SETS, seed_of(world.name, run))
    optimum = search(models, models.wanted, world.centre)
    return optimum, optimum.value / models.best - 1, ""


def _search_for_icl(world: SearchWorld, run: int) -> tuple[Optimum, float, str]:
    """Plant GD at a rate and a number of passes as ICL, and judge that ICL is GD."""
    models = LinearModels.draw(world, N_SETS, seed_of(world.name, run))
    rng = np.random.default_rng(seed_of("icl", world.name, run))
    least, most = world.passes
    truth = 10 ** rng.uniform(-1.5, 0), int(rng.integers(least, most + 1))
    icl = models.weights(truth[0], np.array([float(truth[1])]))[0]
    optimum = search(models, icl, world.centre, resolution=RESOLUTION)
    judged = LinearModels.draw(world, N_JUDGED, seed_of("judged", world.name, run))
    return optimum, optimum.value, _verdict(judged, truth, optimum)


def search(
    models: LinearModels, target: Array, centre: float, *, resolution: float = 0.0
) -> Optimum:
    """Search for the GD that is nearest to a target, at the standard effort."""

    def walk(rate: float, passes: int) -> Curve:
        places = half_octaves(passes)
        values = models.values(target, rate, np.array(places, dtype=float))
        return dict(zip(places, map(float, values), strict=True))

    limits = STANDARD.limits(None)
    found = RateSearch(walk=walk, start=1.0, limits=limits, resolution=resolution)
    return found.find(centre)


def _verdict(models: LinearModels, truth: Place, optimum: Optimum) -> str:
    """Judge whether GD at the search's optimum answers as ICL does."""
    rng = np.random.default_rng(seed_of("queries", models.trained.tolist()))
    queries = rng.standard_normal((N_JUDGED, N_QUERIES, N_INPUTS))
    icl, gd = (
        np.einsum("sqd,sd->sq", queries, models.weights(rate, np.array([passes]))[0])
        for rate, passes in (truth, (optimum.rate, optimum.passes))
    )
    answers = np.einsum("sqd,sd->sq", queries, models.wanted)
    distance = Measurement(
        name="prediction distance",
        values=np.abs(gd - icl) / np.sqrt(np.mean(answers**2)),
        unit="answer size",
    )
    cell = Cell(
        model=surrogates(1.0)[0].model,
        dataset=TASKS,
        n_demonstrations=N_INPUTS,
        settings=Settings(n_sets=N_JUDGED, n_queries=N_QUERIES),
    )
    judge = Judge(CLAIM, cell)
    facts: dict[str, Any] = {"criterion": "likeness", "curves": [], **asdict(optimum)}
    judge.note_search(facts, decides=True)
    judge.stays_below(distance, margin=MARGIN)
    with contextlib.suppress(Refuted, Undecided):
        judge.conclude(expected=None)
    assert judge.judgement is not None
    return judge.judgement.verdict
