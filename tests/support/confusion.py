"""The confusion matrix of ``which_algorithm``: networks that are a known algorithm.

``python -m tests.support.confusion`` prints it. The networks are judged as learned ones
are: what they are is not declared, so that the settings of every algorithm, their own
too, are fitted on calibration tasks, and the claim decides by intervals.

Some algorithms are another at special settings: GD is GD++ without shrinkage, and OLS
is ridge as its penalty vanishes. There both are equally near, within the margin of the
claim, and the one with fewer free settings counts. Tasks are chosen so that nothing
else coincides: with 20 noisy demonstrations of 10 inputs OLS is not exact, a penalty
and the number of steps matter, and neither Newton's method nor GD has converged after
four steps. Eighty sets: forty are enough, but with ten or twenty the intervals leave
open whether OLS is nearer to itself than GD++ is, as a few tasks whose smallest
eigenvalue is near 0 carry most of their distance.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from probes_fixtures.observations import rivals
from probes_fixtures.steps import gd_fewer_steps

from claims.test_construction import test_which_algorithm as which_algorithm
from probes.cards import Construction, ModelCard
from probes.cell import Cell, Settings
from probes.data.regression_tasks import RegressionTask
from probes.engine.observer import Observer
from probes.engine.store import Store
from probes.learners import InContext, LinearLearner
from probes.measurement import Array, Measurement, lead_of_nearest
from probes.measures import squared_distance
from probes.models.model_cache import ModelCache
from probes.observations.observation import Observation
from probes.observations.request import Request
from probes.run.grid import dataset_named, model_named
from probes.verdicts.equivalence import describe
from probes.verdicts.judge import Judge
from probes.verdicts.judgement import Judgement

SETTINGS = Settings(n_sets=80, n_queries=30)
N_DEMONSTRATIONS = 20
ROUNDING = 1e-20  # squared; float64 keeps 16 digits, six are left for sums
MARGIN = 1e-6  # what the claim calls no advantage
FREE = {"OLS": 0, "GD++": 2}
"""How many settings are fitted; one for all others."""
N_LAYERS = 4


def ridge(x: Array, y: Array, query: Array) -> float:
    """Solve in the space of demonstrations, with the penalty 2.5."""
    return float(query @ x.T @ np.linalg.solve(x @ x.T + 2.5 * np.eye(len(y)), y))


def ols(x: Array, y: Array, query: Array) -> float:
    return float(query @ np.linalg.pinv(x) @ y)


def newton_scaled(x: Array, y: Array, query: Array) -> float:
    """Take four steps from M_0 = 1.5 S/‖S‖²."""
    gram = x.T @ x
    inverse = 1.5 * gram / np.linalg.norm(gram, 2) ** 2
    for _ in range(4):
        inverse = 2 * inverse - inverse @ gram @ inverse
    return float(query @ inverse @ x.T @ y)


def one_pass_sgd(x: Array, y: Array, query: Array) -> float:
    """Step at the rate .17, demonstration by demonstration."""
    w = np.zeros(x.shape[1])
    for seen, answer in zip(x, y, strict=True):
        w = w + 0.17 * (answer - w @ seen) * seen
    return float(w @ query)


def two_neighbours(x: Array, y: Array, query: Array) -> float:
    return float(y[np.linalg.norm(x - query, axis=1).argsort()[:2]].mean())


@dataclass(frozen=True, kw_only=True)
class Solver:
    """A network that is an algorithm, written without the code of the learners."""

    predict: Callable[[Array, Array, Array], float]

    def answer(
        self, task: RegressionTask, *, depth: int | None = None
    ) -> tuple[Array, Array]:
        """Predict one query at a time; its sensitivities are not asked for."""
        found = [
            [self.predict(x, y, query) for query in asked]
            for x, y, asked in zip(task.x, task.y, task.queries, strict=True)
        ]
        return np.array(found), np.zeros_like(task.queries)


NETWORKS = {
    "GD, 1 step": "constructed_gd_1",
    "GD, 4 steps": "constructed_gd_4",
    "GD++, 4 steps": "constructed_gdpp_4",
    "Newton, 4 steps": "constructed_newton_4",
}
"""Linear self-attention with weights written by hand."""
SOLVERS = {
    "Newton, scaled": Solver(predict=newton_scaled),
    "ridge": Solver(predict=ridge),
    "OLS": Solver(predict=ols),
    "one-pass SGD": Solver(predict=one_pass_sgd),
    "two neighbours": Solver(predict=two_neighbours),
}
IS = {
    "GD, 1 step": "GD",
    "GD, 4 steps": "GD",
    "GD++, 4 steps": "GD++",
    "Newton, 4 steps": "Newton",
    "Newton, scaled": "Newton, scaled",
    "ridge": "ridge",
    "OLS": "OLS",
    "one-pass SGD": "one-pass SGD",
    "two neighbours": "nearest neighbours",
}
"""What each network is, by the names of the claim's algorithms."""


class SolversToo(ModelCache):
    """Loads the solvers too, by the names of their cards."""

    def get(self, card: ModelCard, settings: Settings) -> Any:
        """Return a solver, or load a network."""
        return SOLVERS.get(card.name) or super().get(card, settings)


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """A line of the matrix.

    Attributes:
        distances: SPD from the network to each algorithm.
        nearest: The nearest algorithm, of equals the one with fewest free settings.
        equals: Others that are equally near.
        lead: How much further the nearest of all others is.
        judgement: Of the claim that GD is the nearest.
    """

    distances: dict[str, Measurement]
    nearest: str
    equals: list[str]
    lead: Measurement
    judgement: Judgement


def card_of(name: str) -> ModelCard:
    """Card a network as a learned one, whose algorithm nobody declares."""
    if name in NETWORKS:
        return replace(model_named(NETWORKS[name]), kind="learned", declared=())
    number = float(list(SOLVERS).index(name))  # tells solvers apart in the store
    stand_in = Construction(
        algorithm="gd", n_inputs=10, n_layers=N_LAYERS, rate=-1 - number
    )
    card = model_named("constructed_gd_4")
    return replace(card, name=name, kind="learned", declared=(), weights=stand_in)


def recognise(name: str, observer: Observer) -> Recognised:
    """Judge which algorithm a network is."""
    cell = Cell(
        model=card_of(name),
        dataset=dataset_named("linear_noisy"),
        n_demonstrations=N_DEMONSTRATIONS,
        settings=SETTINGS,
    )

    def observed(learners: Any) -> dict[str, Observation]:
        return {n: observer.observe(Request.of(cell, o)) for n, o in learners.items()}

    mine = observed({"ICL": InContext(), "GD": LinearLearner(algorithm="gd")})
    icl, others = mine.pop("ICL"), observed(rivals.recipe(cell))
    judge = Judge(which_algorithm.claim, cell)
    fewer = observed(gd_fewer_steps.recipe(cell))
    which_algorithm(icl, mine["GD"], fewer, others, [], judge)
    assert judge.judgement is not None
    distances = {n: squared_distance(icl, o) for n, o in {**mine, **others}.items()}
    return rank(distances, judge.judgement)


def rank(distances: dict[str, Measurement], judgement: Judgement) -> Recognised:
    """Name the nearest algorithm, and by how much it leads all that differ from it."""
    closest = min(distances.values(), key=lambda d: d.mean).mean
    near = [n for n, d in distances.items() if d.mean <= closest + MARGIN]
    nearest = min(near, key=lambda n: FREE.get(n, 1))
    equals = [n for n in near if n != nearest]
    apart = {n: d for n, d in distances.items() if n not in equals}
    return Recognised(
        distances=distances,
        nearest=nearest,
        equals=equals,
        lead=lead_of_nearest(apart),
        judgement=judgement,
    )


def matrix(observer: Observer) -> dict[str, Recognised]:
    """Recognise every network."""
    return {name: recognise(name, observer) for name in IS}


def drawn(found: dict[str, Recognised]) -> str:
    """Draw the matrix as Markdown: the nearest algorithm in bold, its equals with =."""
    names = list(next(iter(found.values())).distances)
    header = ["network", *names, "lead of the nearest [90 %]", "GD is nearest"]
    lines = [header, ["---"] * len(header)]
    for network, line in found.items():
        lead = describe(line.lead)
        low, high = (float("nan") if v is None else v for v in (lead.low, lead.high))
        said = f"{lead.value:.2g} [{low:.2g}, {high:.2g}]"
        cells = [_cell(line, name) for name in names]
        lines.append([network, *cells, said, line.judgement.verdict])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(line: Recognised, name: str) -> str:
    distance = line.distances[name].mean
    said = "0" if distance <= ROUNDING else f"{distance:.2g}"
    if name == line.nearest:
        return f"**{said}**"
    return f"={said}" if name in line.equals else said


def observer_in(folder: Path) -> Observer:
    """Observe networks and solvers, keeping what they answer in a folder."""
    observer = Observer(Store(folder))
    observer._models = SolversToo()
    return observer


def main() -> None:
    """Print the matrix."""
    with tempfile.TemporaryDirectory() as folder:
        print(drawn(matrix(observer_in(Path(folder)))))


if __name__ == "__main__":
    main()
